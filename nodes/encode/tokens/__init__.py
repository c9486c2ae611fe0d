"""What a text says before any encoder runs: weights, tokens, lengths. Pure."""
