"""Grids, sweeps and studies on other processes and machines: Ray starts a ComfyUI for each worker."""
