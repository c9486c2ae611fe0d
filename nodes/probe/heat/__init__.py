"""Token Heatmap: the attention of the image tokens, reduced during the run to a map for each word."""
