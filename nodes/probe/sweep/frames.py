"""A sweep's latents -> pictures: decoded, or ComfyUI's rough previews of them. Imports ComfyUI."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from ...compat.previews import rough_pictures
from ...decode.decoding import decode
from ...keys import SAMPLES
from ..plots import sheets

ROUGH = "No VAE is connected: these are ComfyUI's rough previews of the latents."
FRAME = 512  # pixels of a frame's longer side in the front end
BLANK = "No VAE is connected, and ComfyUI has no previews for this model: only the bars and the curve show the result."


def frames_of(model, vae, samples: Tensor) -> tuple[Tensor | None, list[Image.Image], list[Image.Image], str]:
    """Pixels where there is a VAE, pictures for the strip, frames for the front end, and what to say of them."""
    if vae is not None:
        pixels = decode(vae, {SAMPLES: samples})[0]
        return pixels, [sheets.picture(each) for each in pixels], [sheets.picture(each, FRAME) for each in pixels], ""
    rough = rough_pictures(model, samples)
    if not rough:
        return None, [sheets.blank()] * len(samples), [], BLANK
    pictures = [sheets.enlarged(each) for each in rough]
    return None, pictures, pictures, ROUGH
