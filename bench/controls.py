"""What does each control cost in a sampling step?

    python dev.py bench controls [--scale small] [--rounds 5] [--steps 2] [--tokens 1024] [--only region nag]

MMDiT Sampler on blocks as wide as FLUX.1's, random weights, the plain prompt ("plain") and one with a control ("ours"),
both in one process, in turn. Every text has 256 rows, none of them pads: the most that a short prompt can cost. With
three blocks in place of 57, what a control does once in a forward weighs 19 times what it weighs in FLUX.1.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean, median

import comfy.model_management
import comfy.utils
import torch

from ..devtools import say
from ..nano import layouts
from ..nodes.condition.blend.nodes import ClipNegative
from ..nodes.condition.blocks import Depth
from ..nodes.condition.conditioning import join
from ..nodes.condition.controls import PlacedText, controls_of
from ..nodes.condition.place.nodes import NegativeTxt, Region, Route
from ..nodes.condition.time.at_moment import resolve
from ..nodes.condition.time.nodes import Schedule
from ..nodes.condition.timepoints import Clock, Moment
from ..nodes.sample.attention import DuetAttention
from ..nodes.sample.attention_groups import TokenLayout
from ..nodes.streams import ClipVec, Span, T5Text
from . import step
from .measure import SIDES, Comparison, machine, ratio, seconds, table, warn_if_busy

GUIDANCE = 3.5


# ---- prompts


@dataclass(frozen=True)
class Prompts:
    """Random prompts as wide as a shape wants them, the same for the same number; `steps` is the run's length."""

    shape: layouts.Shape
    steps: int

    def vec(self, number: int) -> ClipVec:
        return ClipVec((Span(_randn(number, 1, self.shape.clip_width)),))

    def txt(self, number: int, texts: int = 1) -> T5Text:
        return T5Text((Span(_randn(number, 1, texts * step.TXT_TOKENS, self.shape.t5_width)),))

    def plain(self, texts: int = 1) -> list:
        return join(self.vec(1), self.txt(1, texts), GUIDANCE)

    def scheduled(self, clip: str, t5: str) -> list:
        vecs, txts = (
            {f"{stream}{n}": make(n) for n in (1, 2)} for stream, make in (("vec", self.vec), ("txt", self.txt))
        )
        return Schedule.execute(vecs, txts, clip, t5, GUIDANCE)[0]


def _randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def switched(made: Prompts) -> list:
    """One stream in the middle of the run, the other a step later (of two steps: never, but its timeline is played)."""
    return made.scheduled(f"1\n@{made.steps // 2} 2", f"1\n@{made.steps // 2 + 1} 2")


def faded(made: Prompts) -> list:
    """Both streams in all steps but the first, which is the first prompt's."""
    return made.scheduled(f"1\n@1..{made.steps} 2", f"1\n@1..{made.steps} 2")


def clip_routed(made: Prompts) -> list:
    return Route.execute(made.plain(), join(made.vec(2), made.txt(1), GUIDANCE), clip_blocks="single")[0]


def t5_routed(made: Prompts) -> list:
    return Route.execute(made.plain(), join(made.vec(1), made.txt(2), GUIDANCE), t5_blocks="single")[0]


def clip_negative(made: Prompts) -> list:
    return join(ClipNegative.execute(made.vec(1), made.vec(2), 3.0, blocks="0-")[0], made.txt(1), GUIDANCE)


def t5_negative(made: Prompts) -> list:
    return join(made.vec(1), NegativeTxt.execute(made.txt(1), made.txt(2))[0], GUIDANCE)


def regions(made: Prompts) -> list:
    """Two prompts, one for each half, over a base."""
    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    txt = made.txt(1)
    for number, mask in enumerate((left, 1 - left), 2):
        txt = Region.execute(txt, made.txt(number), mask)[0]
    return join(made.vec(1), txt, GUIDANCE)


# ---- rows


@dataclass(frozen=True)
class Row:
    """`ours` makes the prompt with a control. Plain is one text of the length of `texts`; `cfg` is true CFG's."""

    key: str
    name: str
    ours: Callable[[Prompts], list]
    target: float | None = None
    texts: int = 1
    cfg: float = 1.0


ROWS = (
    Row("switch", "Prompt Schedule, each stream switches once", switched, 1.01),
    Row("fade", "Prompt Schedule, both streams fade", faded),
    Row("clip-route", "Block Routing, CLIP", clip_routed, 1.01),
    Row("clip-negative", "CLIP Negative, after the MLP", clip_negative, 1.01),
    Row("region", "T5 Region, two prompts; plain: one text as long as all three", regions, 1.05, texts=3),
    Row("region-base", "T5 Region, two prompts; plain: the base", regions),
    Row("t5-route", "Block Routing, T5", t5_routed),
    Row("nag", "T5 Negative (NAG)", t5_negative),
    Row("cfg", "true CFG, for comparison", lambda made: made.plain(), cfg=3.0),
)


# ---- what a control makes the model compute


def work(rows: int, pairs: float, hidden: int) -> float:
    """Multiplications in a block: 12 hidden^2 for each token, double and single alike, 2 hidden for each pair of a
    query and a key."""
    return 12 * hidden**2 * rows + 2 * hidden * pairs


def text_rows(base: int, controls: Sequence) -> int:
    """How many rows of text a forward has, where the first text has `base`."""
    return base + sum(each.length for each in controls if isinstance(each, PlacedText))


def attended(shape: layouts.Shape, base: int, controls: Sequence, tokens: int) -> float:
    """Pairs of a query and a key, the mean of the blocks: counted, as DuetAttention asks for them."""
    txt, pairs = text_rows(base, controls), 0
    side, total = math.isqrt(tokens), txt + tokens

    def counted(q, k, v, *args, **kwargs):
        nonlocal pairs
        pairs += q.shape[2] * k.shape[2]
        return q.squeeze(1)

    depth = Depth(shape.double, shape.single)
    attention = DuetAttention(controls, TokenLayout(txt, side, side), depth)
    ask = counted if attention.idle else partial(attention, counted)
    nothing = torch.zeros(1, 1, total, 1)
    for kind, count in zip(("double", "single"), depth, strict=True):
        for index in range(count):
            ask(nothing, nothing, nothing, transformer_options={"block_type": kind, "block_index": index})
    return pairs / sum(depth)


def computed(positive: list, shape: layouts.Shape, tokens: int, steps: int) -> float:
    """The multiplications of a block, the mean of the blocks and of a run's steps."""
    ((txt, extras),) = positive
    controls, clock = controls_of(extras), Clock([1 - number / steps for number in range(steps + 1)])
    moments = [resolve(extras["pooled_output"], txt, controls, Moment(sigma, clock)) for sigma in clock.sigmas[:-1]]
    return mean(
        work(
            text_rows(now.txt.shape[1], now.controls) + tokens,
            attended(shape, now.txt.shape[1], now.controls, tokens),
            shape.hidden,
        )
        for now in moments
    )


# ---- measuring


def measured(row: Row, flux, made: Prompts, chosen: argparse.Namespace) -> tuple[Comparison, float]:
    """Both sides' times, and the ratio of what they compute."""
    plain, ours = made.plain(row.texts), row.ours(made)

    def sampled(positive, **guided):
        return step.sampled(flux, positive, chosen.tokens, chosen.steps, **guided)

    guided = {} if row.cfg == 1 else {"negative": join(made.vec(2), made.txt(2), GUIDANCE), "cfg": row.cfg}
    calls = dict(zip(SIDES, (lambda: sampled(plain), lambda: sampled(ours, **guided)), strict=True))
    comparison = step.steps_compared(calls, chosen.rounds, chosen.steps, row.name, same=False)
    sides = [computed(each, made.shape, chosen.tokens, chosen.steps) for each in (plain, ours)]
    return comparison, sides[1] / sides[0] * (2 if guided else 1)


def told(row: Row, comparison: Comparison, expected: float) -> list[str]:
    ratios = comparison.ratios
    return [
        row.name,
        seconds(median(comparison.native)),
        seconds(median(comparison.ours)),
        ratio(comparison.ratio),
        f"{ratio(min(ratios))}, {ratio(max(ratios))}",
        ratio(expected),
        f"{row.target}" if row.target else "",
    ]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench controls", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=step.SCALES, default="real", help="real needs 8 GB of memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="sampling steps in a round, at least 2")
    parser.add_argument("--tokens", type=int, default=1024, help="image tokens, a square number")
    parser.add_argument("--only", nargs="+", choices=[row.key for row in ROWS], help="these rows alone")
    chosen = parser.parse_args()
    if chosen.steps < 2:
        parser.error(f"--steps is {chosen.steps}, expected at least 2: a prompt is to change on the way")
    return chosen


def main() -> None:
    chosen = options()
    comfy.utils.set_progress_bar_enabled(False)
    warn_if_busy()
    shape = step.SCALES[chosen.scale]
    say(f"{chosen.tokens} image tokens through {shape.double} double and {shape.single} single blocks ...")
    flux, made, rows = step.model(shape), Prompts(shape, chosen.steps), []
    for row in ROWS:
        if chosen.only and row.key not in chosen.only:
            continue
        say(f"{row.name} ...")
        rows.append(told(row, *measured(row, flux, made, chosen)))
    comfy.model_management.unload_all_models()
    print(
        f"\n{machine()}, width {shape.hidden}, {chosen.tokens} + {step.TXT_TOKENS} tokens, {chosen.rounds} rounds of "
        f"{chosen.steps} steps; `computed` is the ratio of what both have to multiply\n"
    )
    print(
        table(["a step with", "plain", "ours", "ours / plain", "lowest and highest round", "computed", "target"], rows)
    )


if __name__ == "__main__":
    main()
