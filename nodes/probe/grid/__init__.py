"""Prompt Grid: CLIP prompts x T5 prompts x seeds, and the share of the variance that each of them explains."""
