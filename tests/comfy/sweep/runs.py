"""Sweeps, and the reference runs of their pictures."""

import torch

from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn, vec

STEPS, SEED = 6, 5
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}


def txt(seed: int, length: int, weighted: bool = False) -> T5Text:
    bias = randn(seed + 100, 1, length).clamp(-2, 2) if weighted else None
    return T5Text((Span(randn(seed, 1, length, 64), bias=bias),))


def regional(seed: int, length: int) -> T5Text:
    mask = torch.zeros(1, 8, 8)
    mask[:, :, 4:] = 1
    return Region.execute(txt(seed, length), txt(seed + 50, 5), mask, 2.0, 0.3)[0]


STREAMS = {
    "plain": (txt(4, 9), txt(5, 9)),
    "unequal lengths": (txt(4, 9), txt(5, 13)),
    "weights": (txt(4, 9, weighted=True), txt(5, 13, weighted=True)),
    "a region in b": (txt(4, 9), regional(5, 13)),
    "regions in both": (regional(4, 9), regional(5, 9)),
}
VECS = vec(1), vec(2)


def swept(model, a, b, switch="T5", steps=STEPS, scheduler="simple", latent=LATENT, sampler="euler", **options):
    return SwitchSweep.execute(model, a, b, switch, latent, SEED, steps, sampler, scheduler, **options).result


def sampled(model, *prompts, **options) -> torch.Tensor:
    return sampling.sampled(model, *prompts, **{"latent": LATENT, "steps": STEPS, **options})["samples"]


def counting(model) -> tuple:
    """A clone of the model, and the rows of each evaluation."""
    rows = []

    def count(apply_model, args):
        rows.append(args["input"].shape[0])
        return apply_model(args["input"], args["timestep"], **args["c"])

    model = model.clone()
    model.set_model_unet_function_wrapper(count)
    return model, rows
