"""CONDITIONING -> LATENT: the noise schedule and the MMDiT's sampling loop."""
