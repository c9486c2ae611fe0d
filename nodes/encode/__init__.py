"""Text -> the two streams: CLIP-L's vec and T5's txt."""
