"""What a sweep's runs play after the switch, and what of B is left behind. Pure.

Where one stream switches, all else stays A's: its guidance, pictures, ControlNets, masks, hooks and times. With B's
prompt comes only what is the prompt's own: the hooks of its encoder where A has none, its times where its encoder gave
it some, and for T5 the weights between its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...condition.conditioning import join, paired, split
from ...condition.controls import take_controls
from ...condition.extras import OF_TXT, same, title
from ...keys import CLIP_END, CLIP_START, GUIDANCE, HOOKS, POOLED, SIGMA_END, SIGMA_START
from ...streams import Stream

NAME = "Switch Sweep"
T5, CLIP, BOTH = "T5", "CLIP", "both"
TIMES = (CLIP_START, CLIP_END, SIGMA_START, SIGMA_END)
OF_PROMPT = (HOOKS, *TIMES)


def switched(a: list, b: list, streams: str) -> list:
    """What a run plays after the switch: B's streams where they switch, A's where they stay.

    Raises ValueError where B's prompts are told apart by what stays A's, or do not go with A's one by one.
    """
    if streams == BOTH:
        return b
    (vec_a, txt_a, guidance), (vec_b, txt_b, _) = (split(each, f"{NAME}, `{at}`") for at, each in (("a", a), ("b", b)))
    if len(b) not in (1, len(a)) and (keys := _unlike(a, b, streams)):
        raise ValueError(
            f"{NAME}: `b` holds {len(b)} prompts that are told apart by {_listed(keys)}, and `a` holds {len(a)}. Where "
            f"one stream switches, all else stays A's. Choose '{BOTH}', or give `a` and `b` as many prompts."
        )
    if streams == T5:
        vec, txt, names, merges = vec_a, _alone(txt_b), ("a", "b"), {HOOKS: lambda of_vec, of_txt: of_vec}
    else:
        vec, txt, names, merges = _alone(vec_b), txt_a, ("b", "a"), {HOOKS: lambda of_vec, of_txt: of_txt}
    for _ in paired(vec.spans, txt.spans, merges, names, NAME):  # so that what cannot go together is told in our words
        pass
    return join(vec, txt, guidance, merges)


def left_behind(a: list, b: list, streams: str) -> str:
    """In words, what B carries and a sweep of one stream does not take; nothing where there is none."""
    keys = [] if streams == BOTH else _unlike(a, b, streams)
    told = f"B's own {_listed(keys)} did not count: where one stream switches, all else stays A's."
    return told if keys else ""


def _unlike(a: list, b: list, streams: str) -> list[str]:
    """The keys of what B carries beside the prompt that switches and A does not carry alike."""
    found: dict[str, None] = {}
    for number, (_, entry) in enumerate(b):
        beside = a if len(a) != len(b) else [a[number]]
        for key, value in take_controls(entry)[0].items():
            if key in (POOLED, GUIDANCE, *TIMES, *OF_TXT):
                continue
            if key == HOOKS and all(take_controls(other)[0].get(key) is None for _, other in beside):
                continue
            if not all(same(take_controls(other)[0].get(key), value) for _, other in beside):
                found[key] = None
    return [*found]


def _listed(keys: Sequence[str]) -> str:
    return " and ".join(map(title, keys))


def _alone(stream: Stream) -> Any:
    """A stream with what is its prompt's own, and nothing else."""
    spans = (replace(span, extras={key: value for key, value in span.extras.items() if key in OF_PROMPT})
             for span in stream.spans)  # fmt: skip
    return replace(stream, spans=tuple(spans))
