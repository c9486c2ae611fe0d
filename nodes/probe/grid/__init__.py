"""What does each stream explain? CLIP prompts x T5 prompts x seeds, and the variance that each of them accounts for."""
