"""Influence Study: Encoder Influence over many prompts, with the mean, its interval and the outliers."""
