"""The nano models: a complete FLUX.1 pipeline of 20 MB, for tests and for a demo without a download."""
