"""Prompts with controls, native nodes that change them, and runs of both."""

import pytest
import torch

from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import txt, vec

STEPS, SIDE = 4, 8
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
LEFT = torch.zeros(1, 16, 16)
LEFT[..., :8] = 1
FULL = torch.ones(1, 16, 16)
A, B, C = (vec(1), txt(2)), (vec(3), txt(4, 13)), (vec(5), txt(6, 7))


def prompt(clip=A[0], t5=A[1]) -> list:
    return DualPrompt.execute(clip, t5, 3.5)[0]


def sampled(model, *prompts, **options) -> torch.Tensor:
    return sampling.sampled(model, *prompts, **{"latent": LATENT, "steps": STEPS, **options})["samples"]


def natively(model, *prompts, **options) -> torch.Tensor:
    return sampling.natively(model, *prompts, **{"latent": LATENT, "steps": STEPS, **options})["samples"]


def chained(model, *parts: tuple[int, list, list], cfg=1.0) -> torch.Tensor:
    return sampling.chained(model, *parts, cfg=cfg, latent=LATENT, steps=STEPS)["samples"]


def scheduled(clip="1\n@2 2", t5="1\n@2 2", a=A, b=B) -> list:
    vecs, txts = {"vec1": a[0], "vec2": b[0]}, {"txt1": a[1], "txt2": b[1]}
    if "2" not in clip.split():
        del vecs["vec2"]
    if "2" not in t5.split():
        del txts["txt2"]
    return Schedule.execute(vecs, txts, clip, t5)[0]


def weighted(text: T5Text) -> T5Text:
    return T5Text((Span(text.spans[0].tensor, bias=torch.linspace(-1, 1, 9)[None]),))


CONTROLLED = {
    "steps": lambda a, b: scheduled(a=a, b=b),
    "fade": lambda a, b: scheduled("1\n@1..3 2", "1\n@1..3 2", a, b),
    "weights": lambda a, b: prompt(a[0], weighted(a[1])),
    "region": lambda a, b: prompt(a[0], Region.execute(a[1], b[1], LEFT)[0]),
    "region that ends": lambda a, b: prompt(a[0], Region.execute(a[1], b[1], LEFT, end="2")[0]),
    "NAG": lambda a, b: prompt(a[0], NegativeTxt.execute(a[1], b[1])[0]),
    "route": lambda a, b: Route.execute(prompt(*a), prompt(*b), "1, 3", "2-3")[0],
    "CLIP negative": lambda a, b: prompt(ClipNegative.execute(a[0], b[0], 2.0, blocks="1-")[0], a[1]),
}
over_each = pytest.mark.parametrize("name", CONTROLLED)


def controlled(name: str, a=A, b=B) -> list:
    out = CONTROLLED[name](a, b)
    assert has_controls(out)
    return out
