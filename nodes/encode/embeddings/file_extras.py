"""The extras (CONDITIONING keys) that a shared file may hold, for saving and loading. Pure.

Other keys are refused: they may be unsafe to load from an untrusted file, or hold objects that JSON cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ... import keys

MOST = 1e10  # the largest number allowed; ComfyUI's largest sigma is just below 1e9


@dataclass(frozen=True)
class Kind:
    """A kind of value: its description, and a function that checks a value. JSON preserves all of these values."""

    words: str
    holds: Callable[[Any], bool]


def number(low: float, high: float) -> Kind:
    """Numbers in a range, which excludes infinity and NaN; integers may have any number of digits."""
    return Kind(
        f"a number from {low:g} to {high:g}",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high,
    )


def one_of(*words: str) -> Kind:
    return Kind(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


PART, NUMBER = number(0, 1), number(-MOST, MOST)
SWITCH = Kind("true or false", lambda value: isinstance(value, bool))

KINDS: Mapping[str, Kind] = {
    keys.CLIP_START: PART,  # scheduled hooks, and this pack's schedules
    keys.CLIP_END: PART,
    keys.START_PERCENT: PART,  # ConditioningSetTimestepRange
    keys.END_PERCENT: PART,
    keys.SIGMA_START: NUMBER,  # sigmas: this pack's schedules in steps
    keys.SIGMA_END: NUMBER,
    keys.STRENGTH: NUMBER,  # ConditioningSetAreaStrength
    keys.MASK_STRENGTH: NUMBER,
    keys.AREA_TO_BOUNDS: SWITCH,
    keys.DEFAULT: SWITCH,  # Cond Set Default Combine
    keys.REFERENCE_METHOD: one_of("offset", "index", "uxo", "index_timestep_zero"),  # Edit Model Reference Method
}
PAIRS = ((keys.CLIP_START, keys.CLIP_END), (keys.SIGMA_START, keys.SIGMA_END))  # only valid together


def fault(extras: Any) -> str | None:
    """Why a file cannot hold these extras, as a continuation of "it carries ..."; None if it can."""
    if not isinstance(extras, Mapping):
        return f"{type(extras).__name__} instead of an object"
    for key, value in extras.items():
        if key not in KINDS:
            return f"{key!r:.60} ({type(value).__name__}), which cannot be saved"
        if not KINDS[key].holds(value):
            return f"'{key}' with {value!r:.40}, expected {KINDS[key].words}"
    for pair in PAIRS:
        if len(extras.keys() & set(pair)) == 1:
            return f"only one of {' and '.join(pair)}, expected both"
    return None
