"""Word Ablation: what each word of either prompt changes in the model's velocity, measured by leaving it out."""
