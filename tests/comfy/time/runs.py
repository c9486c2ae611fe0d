"""Schedules of random prompts, and chained reference runs."""

import torch
from comfy_extras import nodes_custom_sampler as custom

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import txt, vec

STEPS = 6
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
VECS = {"vec1": vec(1), "vec2": vec(2), "vec3": vec(3)}
TXTS = {"txt1": txt(4, 9), "txt2": txt(5, 13), "txt3": txt(6, 9)}


def prompt(clip: int, t5: int) -> list:
    return DualPrompt.execute(VECS[f"vec{clip}"], TXTS[f"txt{t5}"], 3.5)[0]


def schedule(clip: str, t5: str, **options) -> list:
    def connected(prompts, timeline):
        named = {line.split()[-1] for line in timeline.split("\n")}
        return {name: value for name, value in prompts.items() if name[-1] in named}

    return Schedule.execute(connected(VECS, clip), connected(TXTS, t5), clip, t5, **options)[0]


def sampled(model, *prompts, **options) -> torch.Tensor:
    return sampling.sampled(model, *prompts, **{"latent": LATENT, "steps": STEPS, **options})["samples"]


def natively(model, *prompts, **options) -> torch.Tensor:
    return sampling.natively(model, *prompts, **{"latent": LATENT, "steps": STEPS, **options})["samples"]


def sigmas(model) -> torch.Tensor:
    return custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]
