"""Colours from paper to a hue to a shade of it, for strips and maps. Pure."""

from __future__ import annotations

import numpy as np

from ...palette import Colour
from ...theme import colours


def ramp(hue: Colour) -> np.ndarray:
    """[256, 3], 0 to 1: from near paper to the hue to a shade near ink, with evenly changing lightness."""
    now = colours()
    end = [part + 0.65 * (far - part) for part, far in zip(hue, now.far, strict=True)]
    stops = np.array([now.zero, hue, end], dtype=np.float32) / 255
    at = np.linspace(0, 1, 256)
    return np.stack([np.interp(at, (0, 0.62, 1), stops[:, channel]) for channel in range(3)], -1).astype(np.float32)
