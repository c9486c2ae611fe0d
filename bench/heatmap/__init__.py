"""Do the heatmaps point at what a word made, and what does watching cost? `python dev.py bench heatmap`."""
