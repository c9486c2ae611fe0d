"""Streams -> CONDITIONING, and back."""
