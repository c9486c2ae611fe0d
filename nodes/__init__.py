"""The pack's stages, each a folder: encode, condition, sample, decode. `extension.py` is the table of contents."""
