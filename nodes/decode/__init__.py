"""LATENT -> IMAGE."""
