"""Encodings on disk: the embedding store, and files that people share."""
