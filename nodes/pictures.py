"""PIL pictures -> ComfyUI's IMAGE. Pure.

It is on a low floor because Prompt Inspector, below the probes, draws too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import torch
from PIL import Image
from torch import Tensor


def as_image(pages: Image.Image | Sequence[Image.Image]) -> Tensor:
    """One or more pages of equal size -> IMAGE float32 [pages, H, W, 3], 0 to 1.

    Raises ValueError if the sizes differ or there is no page.
    """
    pages = [pages] if isinstance(pages, Image.Image) else pages
    sizes = sorted({page.size for page in pages})
    if len(sizes) != 1:
        raise ValueError(f"Got pages of {sizes or 'no size'} for one IMAGE, expected one or more of one size.")
    return torch.from_numpy(numpy.stack([numpy.asarray(page.convert("RGB"), numpy.float32) / 255 for page in pages]))
