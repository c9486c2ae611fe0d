"""Writes pictures to files that the front end requests by name. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import ui
from PIL import Image

from ...pictures import as_image


def temporary(pictures: Sequence[Image.Image], cls) -> list[dict]:
    """Writes pictures of one size to ComfyUI's temp folder; returns the parameters of a /view request for each."""
    return ui.PreviewImage(as_image(pictures), cls=cls).as_dict()["images"]
