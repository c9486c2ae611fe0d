"""Colours from paper to a hue to a dark shade of it, for strips and maps. Pure."""

from __future__ import annotations

import numpy as np


def ramp(hue: tuple[int, int, int]) -> np.ndarray:
    """[256, 3], 0 to 1: from paper to the hue to a dark shade of it, with evenly falling lightness."""
    stops = np.array([(250, 250, 248), hue, [part * 0.35 for part in hue]], dtype=np.float32) / 255
    at = np.linspace(0, 1, 256)
    return np.stack([np.interp(at, (0, 0.62, 1), stops[:, channel]) for channel in range(3)], -1).astype(np.float32)
