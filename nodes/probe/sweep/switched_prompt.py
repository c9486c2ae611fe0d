"""The CONDITIONING that a sweep's runs use after the switch. Pure.

If only CLIP or only T5 switches, everything else stays A's: guidance, pictures, ControlNets, masks, hooks and times.
B's prompt brings only what belongs to the prompt: its encoder's hooks if A has none, times that its encoder set, and
for T5 the attention mask between its rows.
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
from .choices import BOTH, NAME, T5

TIMES = (CLIP_START, CLIP_END, SIGMA_START, SIGMA_END)
OF_PROMPT = (HOOKS, *TIMES)


def switched(a: list, b: list, streams: str) -> list:
    """The CONDITIONING after the switch: B's prompts of the streams that switch (T5, CLIP or BOTH), A's otherwise.

    Raises ValueError if B's entries differ in values that stay A's, or cannot be paired with A's entries.
    """
    if streams == BOTH:
        return b
    (vec_a, txt_a, guidance), (vec_b, txt_b, _) = (split(each, f"{NAME}, `{at}`") for at, each in (("a", a), ("b", b)))
    if len(b) not in (1, len(a)) and (keys := _unlike(a, b, streams)):
        raise ValueError(
            f"{NAME}: `b` holds {len(b)} prompts that differ in {_listed(keys)}, and `a` holds {len(a)}. If only the "
            f"{streams} prompt switches, everything else stays as in A. Choose '{BOTH}', or give `a` and `b` the same "
            "number of prompts."
        )
    if streams == T5:
        vec, txt, names, merges = vec_a, _alone(txt_b), ("a", "b"), {HOOKS: lambda of_vec, of_txt: of_vec}
    else:
        vec, txt, names, merges = _alone(vec_b), txt_a, ("b", "a"), {HOOKS: lambda of_vec, of_txt: of_txt}
    for _ in paired(vec.spans, txt.spans, merges, names, NAME):  # raises an error that names `a` and `b`
        pass
    return join(vec, txt, guidance, merges)


def left_behind(a: list, b: list, streams: str) -> str:
    """A sentence that names what B carries and the sweep does not use; "" if there is nothing."""
    keys = [] if streams == BOTH else _unlike(a, b, streams)
    text = f"B's own {_listed(keys)} did not count: only the {streams} prompt switches, everything else stays as in A."
    return text if keys else ""


def _unlike(a: list, b: list, streams: str) -> list[str]:
    """The keys of B's values, other than the prompt that switches, that A does not have or that differ from A's."""
    found: dict[str, None] = {}
    for number, (_, entry) in enumerate(b):
        others = a if len(a) != len(b) else [a[number]]
        for key, value in take_controls(entry)[0].items():
            if key in (POOLED, GUIDANCE, *TIMES, *OF_TXT):
                continue
            if key == HOOKS and all(take_controls(other)[0].get(key) is None for _, other in others):
                continue
            if not all(same(take_controls(other)[0].get(key), value) for _, other in others):
                found[key] = None
    return [*found]


def _listed(keys: Sequence[str]) -> str:
    return " and ".join(map(title, keys))


def _alone(stream: Stream) -> Any:
    """A stream without extras, except those of the prompt itself (OF_PROMPT)."""
    spans = (replace(span, extras={key: value for key, value in span.extras.items() if key in OF_PROMPT})
             for span in stream.spans)  # fmt: skip
    return replace(stream, spans=tuple(spans))
