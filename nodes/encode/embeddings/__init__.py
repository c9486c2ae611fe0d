"""Encodings on disk: the embedding store, and files to share."""
