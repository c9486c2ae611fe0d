"""Progress bars and rough pictures of latents. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable

import comfy.utils
import latent_preview
from torch import Tensor


def progress_bar(total: int):
    """ComfyUI's bar on the node that runs: `update_absolute(value, total, preview)`, `current` and `total`."""
    return comfy.utils.ProgressBar(total)


def has_console_bar() -> bool:
    """Whether samplers draw a bar in the console."""
    return comfy.utils.PROGRESS_BAR_ENABLED


def step_callback(model, steps: int) -> Callable:
    """A sampler's callback(step, x0, x, total) that moves the node's bar and shows a preview."""
    return latent_preview.prepare_callback(model, steps)


def previewer(model):
    """What the user has chosen to preview with; None for none. It has `decode_latent_to_preview_image(format, x0)`."""
    return latent_preview.get_previewer(model.load_device, model.model.latent_format)


def rough_pictures(model, samples: Tensor) -> list | None:
    """PIL images of LATENTs [B, C, h, w], a colour for each latent pixel; None for a model without such colours."""
    known = model.get_model_object("latent_format")
    if known.latent_rgb_factors is None:
        return None
    factors = known.latent_rgb_factors, known.latent_rgb_factors_bias, known.latent_rgb_factors_reshape
    drawn = latent_preview.Latent2RGBPreviewer(*factors)
    return [drawn.decode_latent_to_preview(known.process_in(each[None].float())) for each in samples]
