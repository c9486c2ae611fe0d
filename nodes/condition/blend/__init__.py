"""Streams mixed with streams: CLIP's vectors, T5's rows."""
