"""The nano models: a whole FLUX.1 pipeline in twenty megabytes, for the tests and for a demo without a download."""
