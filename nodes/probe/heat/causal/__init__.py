"""The measure causal: where the velocity changes when a word is left out of the T5 prompt."""
