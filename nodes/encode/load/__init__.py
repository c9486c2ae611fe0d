"""Loads a text encoder's file as a CLIP."""
