"""Limits the device's memory as ComfyUI's --reserve-vram does, but for a part of a process. Needs ComfyUI.

It is not in nodes/compat: the pack itself changes nothing in ComfyUI.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management


@contextmanager
def reserved(size: int) -> Iterator[None]:
    """Within it, ComfyUI leaves `size` bytes of the device's memory free."""
    before = comfy.model_management.EXTRA_RESERVED_VRAM
    comfy.model_management.EXTRA_RESERVED_VRAM = size
    try:
        yield
    finally:
        comfy.model_management.EXTRA_RESERVED_VRAM = before
