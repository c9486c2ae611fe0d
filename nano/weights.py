"""`dev.py run nano.weights`: the picture of weights in docs/controls.md, a row for CLIP, one for T5. Needs ComfyUI."""

import comfy.sample
import numpy as np
import torch

from ..nodes.condition.conditioning import join
from ..nodes.encode.choices import ATTENTION, FIRST
from ..nodes.encode.clip_prompt import encode_clip_prompt
from ..nodes.encode.encoding import encode_t5
from ..nodes.sample.apply import attach
from .pipeline import GUIDANCE, MODELS, SIDE, Pipeline
from .sheet import SHEET, sheet

OUT = SHEET.with_name("weights.jpg")
SEED, STEPS = 1, 20
WEIGHTS = (0.0, 0.25, 1.0, 1.5, 2.0)
# A row's title, its CLIP prompt and its T5 prompt, with a placeholder for the weight.
ROWS = {
    "CLIP: on pink paper, (under water:w)": ("on pink paper, (under water:{})", "a big yellow star in the middle"),
    "T5, attention: a small red heart (in the top left:w)": ("at night", "a small red heart (in the top left:{})"),
}


def draw(pipeline: Pipeline, clip: str, t5: str, seed: int) -> np.ndarray:
    """Samples one picture, uint8 [H, W, 3], from weighted prompts."""
    vec, _ = encode_clip_prompt(pipeline.clip_l, clip, FIRST)
    txt, _ = encode_t5(pipeline.t5, t5, mode=ATTENTION)
    return paint(pipeline, join(vec, txt, GUIDANCE), seed)


def paint(pipeline: Pipeline, positive: list, seed: int, negative: list | None = None, cfg: float = 1.0) -> np.ndarray:
    """Samples one picture, uint8 [H, W, 3], from a CONDITIONING with controls; true CFG if there is a negative."""
    latent = torch.zeros(1, 16, SIDE, SIDE)
    noise = comfy.sample.prepare_noise(latent, seed)
    samples = comfy.sample.sample(
        attach(pipeline.flux),
        noise,
        STEPS,
        cfg,
        "euler",
        "simple",
        positive,
        negative or positive,
        latent,
        seed=seed,
        disable_pbar=True,
    )
    return (pipeline.vae.decode(samples)[0] * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def main() -> None:
    pipeline = Pipeline(MODELS)
    pictures = [
        [draw(pipeline, clip.format(weight), t5.format(weight), SEED) for weight in WEIGHTS]
        for clip, t5 in ROWS.values()
    ]
    page = sheet(np.array(pictures), tuple(ROWS), tuple(f"w = {weight:g}" for weight in WEIGHTS), "")
    page.save(OUT, quality=90, optimize=True)


if __name__ == "__main__":
    main()
