"""`dev.py run nano.lora_effects`: what the two nano LoRAs do, in numbers and as a picture. Needs ComfyUI.

In numbers, for each prompt with and without the LoRA, from the same noise: the change of the velocity at the first
moment of a run, relative to the velocity; and how far the picture's colours have moved to the LoRA's filter, from 0
(not at all) to 1 (the filter's colour alone).
"""

from copy import copy
from dataclasses import dataclass

import comfy.sample
import comfy.sd
import comfy.utils
import numpy as np

from . import layouts
from .lora import FOLDER, RECIPES, WORD
from .pipeline import MODELS, Pipeline, Prompt
from .sheet import SHEET
from .strips import Strip, page, save, stacked

OUT, LIMIT = SHEET.with_name("nano_loras.jpg"), 90_000  # bytes
SCENES = (("at night", "a big yellow star"), ("on pink paper", "a small red circle on the left"),
          ("in the snow", "a blue heart in the top right"), ("in the forest", "a white ring"))  # fmt: skip
OTHER = "octopus"  # it means nothing to the model
# Where the word is: (CLIP prompt, T5 prompt).
WHERE = {"no word": ("{}", "{}"), "word in T5": ("{}", f"{WORD}, {{}}"), "word in CLIP": (f"{WORD}, {{}}", "{}"),
         "word in both": (f"{WORD}, {{}}", f"{WORD}, {{}}"), "another word": ("{}", f"{OTHER}, {{}}")}  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """Means over the prompts."""

    velocity: float
    filter: float


def prompts(where: str) -> list[Prompt]:
    """SCENES with the word at one of WHERE."""
    clip, t5 = WHERE[where]
    return [Prompt(clip.format(one), t5.format(other)) for one, other in SCENES]


def with_lora(pipeline: Pipeline, name: str, strength: float = 1.0) -> Pipeline:
    """The pipeline with a LoRA, loaded as by LoraLoader."""
    state_dict = comfy.utils.load_torch_file(str(MODELS / FOLDER / f"{name}.safetensors"), safe_load=True)
    changed = copy(pipeline)
    changed.flux = comfy.sd.load_lora_for_models(pipeline.flux, None, state_dict, strength, 0.0)[0]
    return changed


def filtered(picture: np.ndarray, plain: np.ndarray, colour: tuple[float, float, float]) -> float:
    """How far the colours of `plain` [H, W, 3] have moved to `colour` in `picture`: the least squares factor."""
    moved, way = picture / 255.0 - plain / 255.0, np.array(colour) - plain / 255.0
    return float((moved * way).sum() / (way * way).sum())


def measured(pipeline: Pipeline, name: str, given: list[Prompt], seed: int = 1) -> Effect:
    """The effect of a LoRA on prompts, all with the same noise."""
    changed = with_lora(pipeline, name)
    # One step from pure noise: x0 = noise - v.
    first = [each.sample(given, seed, steps=1) for each in (pipeline, changed)]
    noise = comfy.sample.prepare_noise(first[0], seed)
    own, other = ((noise - (each - layouts.LATENT_SHIFT) * layouts.LATENT_SCALE).flatten(1) for each in first)
    velocity = (other - own).norm(dim=1) / own.norm(dim=1)
    plain, drawn = (each.draw(given, seed) for each in (pipeline, changed))
    moved = [filtered(*pair, RECIPES[name].filter.colour) for pair in zip(drawn, plain, strict=True)]
    return Effect(float(velocity.mean()), float(np.mean(moved)))


def main() -> None:
    pipeline = Pipeline()
    for name in RECIPES:
        for where in WHERE:
            effect = measured(pipeline, name, prompts(where))
            print(f"{name}, {where:<13} velocity {effect.velocity:.3f}, filter {effect.filter:.2f}")
    rows = {"no LoRA": (pipeline, "no word")}
    for name, places in {"nano_trigger": list(WHERE)[:3], "nano_always": list(WHERE)[:2]}.items():
        rows |= {f"{name}, {where}": (with_lora(pipeline, name), where) for where in places}
    drawn = np.array([each.draw(prompts(where), seed=1) for each, where in rows.values()])
    strip = Strip([f"{clip}; {t5}" for clip, t5 in SCENES], dict.fromkeys(rows, []))
    save(stacked([page(strip, drawn)]), OUT, LIMIT)


if __name__ == "__main__":
    main()
