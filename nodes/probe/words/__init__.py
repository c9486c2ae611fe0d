"""Word Ablation: how much the model's velocity changes when a word of either prompt is left out."""
