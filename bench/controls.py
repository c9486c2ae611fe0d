"""What does each control cost in a sampling step?

    python dev.py bench controls [--scale small] [--rounds 5] [--steps 2] [--tokens 1024] [--only region nag]

MMDiT Sampler on blocks as wide as FLUX.1's with random weights: the plain prompt ("plain") and one with a control
("ours"), in one process, in alternation. Every text has 256 rows, none of them pads: the most that a short prompt can
cost. The model has three blocks instead of 57, so work done once per forward weighs 19 times as much as in FLUX.1.
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
    """Random prompts of a shape's widths, equal for equal numbers; `steps` is the run's length, `rows` a text's."""

    shape: layouts.Shape
    steps: int
    rows: int = step.TXT_TOKENS

    def vec(self, number: int) -> ClipVec:
        return ClipVec((Span(_randn(number, 1, self.shape.clip_width)),))

    def txt(self, number: int, texts: int = 1) -> T5Text:
        return T5Text((Span(_randn(number, 1, texts * self.rows, self.shape.t5_width)),))

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
    """CLIP switches in the middle of the run, T5 a step later (of two steps never, but its timeline is evaluated)."""
    return made.scheduled(f"1\n@{made.steps // 2} 2", f"1\n@{made.steps // 2 + 1} 2")


def faded(made: Prompts) -> list:
    """Both prompts fade over all steps; the first step is the first prompt's."""
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
    """`ours` makes the prompt with a control. The plain prompt is as long as `texts` texts; `cfg` is for true CFG."""

    key: str
    name: str
    ours: Callable[[Prompts], list]
    target: float | None = None
    texts: int = 1
    cfg: float = 1.0


ROWS = (
    Row("switch", "Prompt Schedule, each prompt switches once", switched, 1.01),
    Row("fade", "Prompt Schedule, both prompts fade", faded),
    Row("clip-route", "Block Routing, CLIP", clip_routed, 1.01),
    Row("clip-negative", "CLIP Negative, after the MLP", clip_negative, 1.01),
    Row("region", "T5 Region, two prompts; plain: one text as long as all three", regions, 1.05, texts=3),
    Row("region-base", "T5 Region, two prompts; plain: the base", regions),
    Row("t5-route", "Block Routing, T5", t5_routed),
    Row("nag", "T5 Negative (NAG)", t5_negative),
    Row("cfg", "true CFG, for comparison", lambda made: made.plain(), cfg=3.0),
)


# ---- how much a control makes the model compute


def work(rows: int, pairs: float, hidden: int) -> float:
    """Multiplications in a block, double or single: 12 hidden^2 per token, and 2 hidden per pair of query and key."""
    return 12 * hidden**2 * rows + 2 * hidden * pairs


def text_rows(base: int, controls: Sequence) -> int:
    """Text rows of a forward whose first text has `base` rows."""
    return base + sum(each.length for each in controls if isinstance(each, PlacedText))


def attended(shape: layouts.Shape, base: int, controls: Sequence, tokens: int) -> float:
    """Pairs of query and key, the mean over blocks, counted in DuetAttention's calls of the attention function."""
    txt, pairs = text_rows(base, controls), 0
    side, total = math.isqrt(tokens), txt + tokens

    def counted(q, k, v, *args, **kwargs):
        nonlocal pairs
        pairs += q.shape[2] * k.shape[2]
        return q.squeeze(1)

    depth = Depth(shape.double, shape.single)
    attention = DuetAttention(controls, TokenLayout(txt, side, side), depth)
    attend = counted if attention.idle else partial(attention, counted)
    nothing = torch.zeros(1, 1, total, 1)
    for kind, count in zip(("double", "single"), depth, strict=True):
        for index in range(count):
            attend(nothing, nothing, nothing, transformer_options={"block_type": kind, "block_index": index})
    return pairs / sum(depth)


def computed(positive: list, shape: layouts.Shape, tokens: int, steps: int) -> float:
    """Multiplications of a block, the mean over blocks and over a run's steps."""
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
    """(both sides' times, the ratio of their multiplications)."""
    plain, ours = made.plain(row.texts), row.ours(made)

    def sampled(positive, **guided):
        return step.sampled(flux, positive, chosen.tokens, chosen.steps, **guided)

    guided = {} if row.cfg == 1 else {"negative": join(made.vec(2), made.txt(2), GUIDANCE), "cfg": row.cfg}
    calls = dict(zip(SIDES, (lambda: sampled(plain), lambda: sampled(ours, **guided)), strict=True))
    comparison = step.steps_compared(calls, chosen.rounds, chosen.steps, row.name, same=False)
    sides = [computed(each, made.shape, chosen.tokens, chosen.steps) for each in (plain, ours)]
    return comparison, sides[1] / sides[0] * (2 if guided else 1)


def table_row(row: Row, comparison: Comparison, expected: float) -> list[str]:
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
        parser.error(f"--steps is {chosen.steps}, expected at least 2, since a prompt changes during the run")
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
        rows.append(table_row(row, *measured(row, flux, made, chosen)))
    comfy.model_management.unload_all_models()
    print(
        f"\n{machine()}, width {shape.hidden}, {chosen.tokens} + {step.TXT_TOKENS} tokens, {chosen.rounds} rounds of "
        f"{chosen.steps} steps; `computed` is the ratio of multiplications\n"
    )
    print(
        table(["a step with", "plain", "ours", "ours / plain", "lowest and highest round", "computed", "target"], rows)
    )


if __name__ == "__main__":
    main()
