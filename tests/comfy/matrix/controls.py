"""The controls of the matrix, each with its reference at every step, and with native prompts where they are equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from flux_duet.nodes.condition.blend.nodes import BlendTxt, BlendVec, ClipNegative
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun, Schedule
from flux_duet.nodes.streams import T5Text
from flux_duet.tests.comfy.inputs import txt
from flux_duet.tests.comfy.matrix.dense import BLOCKS, Over, Truth
from flux_duet.tests.comfy.matrix.graph import CLIP_A, CLIP_B, SIDE, STEPS, A, B, prompt

AWAY = txt(6, 7)
SWITCH, END = 1, 2  # before this step
MASK = torch.zeros(1, 4 * SIDE, 4 * SIDE)
MASK[:, 4 * SIDE // 3 :, : 2 * SIDE] = 1.0


@dataclass(frozen=True)
class Control:
    """`made` is the CONDITIONING with the control, `base` the prompt without it that native nodes see.

    `truth` is what it should be at a step (None: the base), by brute force; `played` the native prompt at each step,
    where there is one. With `guest`, the second prompt of `base` is there at these steps alone. `in_ranges`: it is
    ComfyUI's own ranges and nothing else.
    """

    made: list
    base: list
    truth: Callable[[int], Truth | None] = lambda step: None
    played: Sequence[list] | None = None
    guest: Sequence[int] | None = None
    in_ranges: bool = False


def rows(text: T5Text):
    return text.spans[0].tensor


def clip(stream):
    return stream.spans[0].tensor


def whole(truth: Truth):
    return lambda step: truth


def until(end: int, truth: Truth):
    return lambda step: truth if step < end else None


def weights() -> Control:
    """Weight 2 equals the token twice, weight 0 no token."""
    bias = torch.zeros(1, 9)
    bias[0, 3], bias[0, 6] = math.log(2), -math.inf
    text = T5Text((replace(A.spans[0], bias=bias),))
    native = T5Text((replace(A.spans[0], tensor=rows(A)[:, [0, 1, 2, 3, 3, 4, 5, 7, 8]]),))
    return Control(prompt(text), prompt(), whole(Truth(bias=bias[0])), [prompt(native)] * STEPS)


def join() -> Control:
    made = BlendTxt.execute(A, "join", 0.3, B)[0]
    bias = torch.tensor([0.7] * 9 + [0.3] * 13).log()
    return Control(
        prompt(made), prompt(replace(made, spans=(replace(made.spans[0], bias=None),))), whole(Truth(bias=bias))
    )


def both() -> Control:
    made = BlendTxt.execute(A, "both", 2.0, B)[0]
    bias = torch.tensor([1.0] * 9 + [2.0] * 13).log()
    native = T5Text((replace(A.spans[0], tensor=torch.cat([rows(A), rows(B), rows(B)], 1)),))
    return Control(
        prompt(made),
        prompt(replace(made, spans=(replace(made.spans[0], bias=None),))),
        whole(Truth(bias=bias)),
        [prompt(native)] * STEPS,
    )


REGION = Truth(overs=(Over(rows(B), MASK[0], 2.0, 0.3),))
NAG = Truth(overs=(Over(rows(AWAY), nag=(4.0, 1.5, 0.5)),))


def region(text=A) -> Control:
    return Control(prompt(Region.execute(text, B, MASK, 2.0, 0.3)[0]), prompt(text), whole(REGION))


def region_with_an_end(text=A) -> Control:
    return Control(prompt(Region.execute(text, B, MASK, 2.0, 0.3, end=f"{END}")[0]), prompt(text), until(END, REGION))


def region_everywhere() -> Control:
    """Reference by the same mechanism, block by block: the region's prompt under the same neighbour."""
    made = Region.execute(A, B, torch.ones(1, 8, 8), base_ratio=0.0, blocks="0-2")[0]
    return Control(prompt(made), prompt(), whole(Truth(overs=(Over(rows(B)),))), [prompt(B)] * STEPS)


def nag(text=A) -> Control:
    return Control(prompt(NegativeTxt.execute(text, AWAY, 4.0, 1.5, 0.5)[0]), prompt(text), whole(NAG))


def nag_with_an_end(text=A) -> Control:
    made = NegativeTxt.execute(text, AWAY, 4.0, 1.5, 0.5, end=f"{END}")[0]
    return Control(prompt(made), prompt(text), until(END, NAG))


def route_clip(text=A) -> Control:
    made = Route.execute(prompt(text), prompt(text, CLIP_B), "0, 2", "none")[0]
    return Control(made, prompt(text), whole(Truth(vecs=((1.0, clip(CLIP_B)),), own=-1.0, blocks=(0, 2))))


def route_t5(text=A) -> Control:
    made = Route.execute(prompt(text), prompt(B), "none", "0, 2")[0]
    return Control(made, prompt(text), whole(Truth(overs=(Over(rows(B), blocks=(0, 2)),))))


def clip_negative(text=A) -> Control:
    made = prompt(text, ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="1-")[0])
    return Control(made, prompt(text), whole(Truth(vecs=((-2.0, clip(CLIP_B)),), own=2.0, blocks=BLOCKS[1:])))


def several() -> Control:
    """A weighted prompt with a region, a negative in each stream, all at once."""
    bias = torch.linspace(-1, 1, 9)
    weighted = T5Text((replace(A.spans[0], bias=bias[None]),))
    text = NegativeTxt.execute(Region.execute(weighted, B, MASK, 2.0, 0.3)[0], AWAY, 4.0, 1.5, 0.5)[0]
    made = prompt(text, ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="1-")[0])
    overs = *REGION.overs, *NAG.overs
    truth = Truth(bias=bias, overs=overs, vecs=((-2.0, clip(CLIP_B)),), own=2.0, blocks=BLOCKS[1:])
    return Control(made, prompt(), whole(truth))


def _schedule(marks: str, text=A) -> list:
    return Schedule.execute(
        {"vec1": CLIP_A, "vec2": CLIP_B}, {"txt1": text, "txt2": B}, f"1\n@{marks} 2", f"1\n@{marks} 2"
    )[0]


SECOND = Truth(rows(B), clip(CLIP_B))


def steps(text=A) -> Control:
    played = [prompt(text)] * SWITCH + [prompt(B, CLIP_B)] * (STEPS - SWITCH)
    return Control(_schedule(f"{SWITCH}", text), prompt(text), lambda step: SECOND if step >= SWITCH else None, played)


def percent() -> Control:
    """25 % of time is before step 1 of 3, whatever the model's shift."""
    return replace(steps(), made=_schedule("25%"), in_ranges=True)


def fade() -> Control:
    def truth(step: int) -> Truth | None:
        share = (0.0, 1 / 3, 2 / 3)[step]
        if not step:
            return None
        bias = torch.tensor([1 - share] * 9 + [share] * 13).log()
        return Truth(torch.cat([rows(A), rows(B)], 1), torch.lerp(clip(CLIP_A), clip(CLIP_B), share), bias)

    def blend(share: float) -> list:
        return prompt(BlendTxt.execute(A, "join", share, B)[0], BlendVec.execute(CLIP_A, "lerp", share, CLIP_B)[0])

    played = [prompt(), blend(1 / 3), blend(2 / 3)]
    return Control(_schedule("1..3"), prompt(), truth, played)


def part() -> Control:
    """A prompt that is added at step 1 to one that lasts."""
    guest = prompt(B, CLIP_B)
    return Control([*prompt(), *PartOfRun.execute(guest, "1", "2")[0]], [*prompt(), *guest], guest=(1,))


CONTROLS: dict[str, Callable[[], Control]] = {
    "weights": weights,
    "join": join,
    "both": both,
    "region": region,
    "everywhere": region_everywhere,
    "region, end": region_with_an_end,
    "nag": nag,
    "nag, end": nag_with_an_end,
    "route clip": route_clip,
    "route t5": route_t5,
    "clip negative": clip_negative,
    "several": several,
    "steps": steps,
    "percent": percent,
    "fade": fade,
    "part": part,
}
