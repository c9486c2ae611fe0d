"""A text encoder's file -> a CLIP."""
