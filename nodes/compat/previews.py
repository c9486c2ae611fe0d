"""Progress bars and latent previews. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable

import comfy.utils
import latent_preview
from torch import Tensor


def progress_bar(total: int):
    """The running node's progress bar: `update_absolute(value, total, preview)`, `current` and `total`."""
    return comfy.utils.ProgressBar(total)


def has_console_bar() -> bool:
    """Whether samplers show a progress bar in the console."""
    return comfy.utils.PROGRESS_BAR_ENABLED


def step_callback(model, steps: int) -> Callable:
    """A sampler's callback(step, x0, x, total) that updates the node's progress bar and preview."""
    return latent_preview.prepare_callback(model, steps)


def previewer(model):
    """The previewer that the user chose, with `decode_latent_to_preview_image(format, x0)`; None for no previews."""
    return latent_preview.get_previewer(model.load_device, model.model.latent_format)


def rough_pictures(model, samples: Tensor) -> list | None:
    """PIL previews of latents [B, C, h, w], one pixel per latent pixel; None if the model has no RGB factors."""
    latent_format = model.get_model_object("latent_format")
    if latent_format.latent_rgb_factors is None:
        return None
    previewer = latent_preview.Latent2RGBPreviewer(
        latent_format.latent_rgb_factors,
        latent_format.latent_rgb_factors_bias,
        latent_format.latent_rgb_factors_reshape,
    )
    return [previewer.decode_latent_to_preview(latent_format.process_in(each[None].float())) for each in samples]
