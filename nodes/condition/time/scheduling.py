"""Timelines -> streams: as ComfyUI's own time ranges if they can express a timeline, else as a control. Pure torch.

Native samplers support hard switches in percent of time and in sigma. Steps are known only during a run, and fades
change the prompt at every step; for these there is a control, which Apply Duet or MMDiT Sampler carries out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...keys import CLIP_END, CLIP_START, END_PERCENT, POOLED, SIGMA_END, SIGMA_START, START_PERCENT
from ...quoting import shorten
from ...streams import ClipVec, Span, Stream, T5Text
from .. import attn_masks
from ..blend.rows import rows_of
from ..conditioning import during
from ..controls import ActiveRange, ClipTimeline, Keyframe, Made, T5Timeline, controls_of, put_controls, take_controls
from ..extras import same, title
from ..reconcile import reconciled
from ..timepoints import END as END_POINT
from ..timepoints import NEARLY, PERCENT, SIGMA, STEP, Clock, Moment, Point, Range, at_start, percent_at
from ..timepoints import START as START_POINT
from .at_moment import resolve
from .timeline import Entry

# ComfyUI's ranges include both ends, so at a common boundary both would be active. A boundary slightly before the
# given point equals no step's sigma: each step has exactly one prompt.
EARLIER = 3e-6  # in shares of time (0 to 1)


def scheduled(entries: Sequence[Entry], streams: Sequence[Stream], clock: Clock, native: bool = True) -> Stream:
    """One stream that follows a timeline of `streams`, one per entry; with a single entry the stream itself.

    `native` allows ComfyUI's time ranges. Raises ValueError for streams that are limited to a part of the run, for
    fades between prompts with controls, and for prompts whose extras differ in a timeline that needs a control.
    """
    if len(entries) == 1:
        return streams[0]
    spans = [_single(stream) for stream in streams]
    unit = unit_of(entries, clock) if native else None
    if unit is not None:
        return type(streams[0])(tuple(_limited(entries, spans, unit, clock)))
    kind = ClipTimeline if isinstance(streams[0], ClipVec) else T5Timeline
    rows = [rows_of(stream)[0].real if isinstance(stream, T5Text) else 0 for stream in streams]
    keyframes = [Keyframe(span, e.start, e.fade, real) for e, span, real in zip(entries, spans, rows, strict=True)]
    if any(span.controls and entry.fade != entry.start for span, entry in _around_fades(entries, spans)):
        raise ValueError(
            "Prompt Schedule: a prompt with regions, routes or negatives cannot fade. Switch to it at a single time, "
            "such as @8."
        )
    _check_extras(spans)
    return type(streams[0])((replace(spans[0], controls=(kind(tuple(keyframes)),), bias=None),))


def _check_extras(spans: Sequence[Span]) -> None:
    """Raises ValueError if the prompts of a timeline differ in extras: a CONDITIONING entry holds one set of them."""
    if any(span.attn_mask is not None for span in spans):
        raise ValueError(
            "Prompt Schedule: a T5 prompt has an attention mask (Redux with attn_bias), which is only for its own "
            "tokens. Schedule the prompts without it and apply Redux to the result, or set the times in percent."
        )
    first, *others = spans
    for other in others:
        for key in first.extras.keys() | other.extras.keys():
            if not same(first.extras.get(key), other.extras.get(key)):
                raise ValueError(
                    f"Prompt Schedule: the prompts of a timeline differ in {title(key)}, which other nodes set. A "
                    "timeline in steps or with fades has one value for all its prompts: set it after Prompt "
                    "Schedule, or use percent without fades."
                )


def _around_fades(entries: Sequence[Entry], spans: Sequence[Span]):
    for number, entry in enumerate(entries):
        for span in spans[max(0, number - 1) : number + 1]:
            yield span, entry


def _single(stream: Stream) -> Span:
    if len(stream.spans) > 1:
        raise ValueError(
            f"Prompt Schedule: a prompt has {len(stream.spans)} encodings, each for a part of the run, expected one. "
            "It is already scheduled, or was encoded by a CLIP with scheduled hooks. Connect prompts that act during "
            "the whole run."
        )
    return stream.spans[0]


def unit_of(entries: Sequence[Entry], clock: Clock) -> str | None:
    """The start key of ComfyUI's ranges that can express this timeline (START or SIGMA_START); None if none can."""
    units = {entry.start.unit for entry in entries[1:]}
    if any(entry.fade != entry.start for entry in entries) or (units == {STEP} and clock.sigmas is None):
        return None
    return CLIP_START if units == {PERCENT} else SIGMA_START


def _limited(entries: Sequence[Entry], spans: Sequence[Span], unit: str, clock: Clock):
    if unit == CLIP_START:
        edges = [0.0, *(entry.start.value / 100 - EARLIER for entry in entries[1:]), 1.0]
    else:  # in -sigma, which rises during a run
        edges = [-1e9, *(-clock.sigma(entry.start) * NEARLY for entry in entries[1:]), 0.0]
    for span, start, end in zip(spans, edges, edges[1:], strict=False):
        if start < end:
            yield replace(span, extras={**span.extras, **during(unit, start, end)})


# ---- a part of the run


def limited_to(conditioning: list, when: Range) -> list:
    """A CONDITIONING that is active only in a part of the run."""
    if when.is_all:
        return conditioning
    out = []
    for txt, entry in conditioning:
        _, cond = take_controls(entry)
        vec = entry.get(POOLED)
        made = cond.made if cond else Made(txt, vec)
        out.append([txt, put_controls(entry, (*controls_of(entry), ActiveRange(when)), made)])
    return out


# ---- the prompt at one point


def at_point(conditioning: list, point: Point, clock: Clock) -> list:
    """The prompt that a CONDITIONING has at one point of a run, as a CONDITIONING for the whole run.

    Raises ValueError if the clock cannot compare the point with the CONDITIONING's times, or no prompt is active.
    """
    clock = _comparable(point, clock)
    moment = Moment(1.0 if isinstance(clock, _Edge) else min(clock.sigma(point), 1e8), clock)
    found = []
    for txt, entry in conditioning:
        rest, controls = reconciled(txt, entry.get(POOLED), entry)
        if not _holds(rest, moment) or any(
            not each.when.holds(moment) for each in controls if isinstance(each, ActiveRange)
        ):
            continue
        lasting = tuple(each for each in controls if not isinstance(each, ActiveRange))
        now = resolve(rest.get(POOLED), txt, lasting, moment)
        untimed = {key: value for key, value in rest.items() if key not in _RANGES}
        rest, mask = attn_masks.take_mask(untimed, txt.shape[1])
        if mask is not None and now.replaced is not None:
            mask = replace(mask, values=attn_masks.replaced(mask.values, *now.replaced))
        rest = {**rest, **attn_masks.as_extras(mask), POOLED: now.vec}
        found.append([now.txt, put_controls(rest, now.controls, Made(now.txt, now.vec))])
    if not found:
        raise ValueError(f"Prompt at Step: no prompt of this CONDITIONING is active at {point}. Choose another time.")
    return found


_PERCENTS = ((CLIP_START, CLIP_END), (START_PERCENT, END_PERCENT))
_RANGES = (*_PERCENTS[0], *_PERCENTS[1], SIGMA_START, SIGMA_END)


def _holds(entry: dict, moment: Moment) -> bool:
    """Whether this entry is active now by ComfyUI's own time ranges."""
    ranges = [(Point(100 * entry.get(start, 0.0), PERCENT), Point(100 * entry.get(end, 1.0), PERCENT))
              for start, end in _PERCENTS]  # fmt: skip
    if SIGMA_START in entry:
        ranges.append((Point(entry[SIGMA_START], SIGMA), Point(entry[SIGMA_END], SIGMA)))
    return all(moment.reached(begins) and not moment.reached(ends) for begins, ends in ranges)


class _Ordering(Clock):
    """A clock with made-up sigmas, which only orders points of one unit (steps or percent)."""

    def sigma(self, point: Point) -> float:
        unit = STEP if self.sigmas is not None else PERCENT
        if point.unit != unit and point not in (START_POINT, END_POINT):
            raise ValueError(f"{point} cannot be compared with a {unit}: connect `sigmas` and `model`.")
        return super().sigma(point)


@dataclass(frozen=True)
class _Edge(Clock):
    """A clock for the start of any run, or its end with `last`: every point, of any unit, is either past or ahead."""

    last: bool = False

    def sigma(self, point: Point) -> float:
        at_end = point == END_POINT or (point.unit == SIGMA and point.value <= 0)
        past = at_start(point) or (self.last and not at_end)
        return math.inf if past else 0.0


def _comparable(point: Point, clock: Clock) -> Clock:
    """A clock that can compare `point`: `clock` itself, or a substitute if it lacks the data for the point's unit."""
    if at_start(point) or point == END_POINT or (point.unit == SIGMA and point.value <= 0):
        return _Edge(last=not at_start(point))
    if point.unit == STEP and clock.sigmas is None:
        return _Ordering(sigmas=[1 - step / 100_000 for step in range(100_001)])
    if point.unit == PERCENT and clock.sigma_at is None:
        return _Ordering(sigma_at=lambda share: 1 - share)
    return clock


# ---- the report

_MOST_CHARACTERS = 60  # of a prompt


def timeline_lines(name: str, entries: Sequence[Entry], clock: Clock, texts: Sequence[str] | None = None) -> list[str]:
    """A timeline in words, one line per entry, with times in all units that the clock can convert to.

    `texts` replace the entries' own texts.
    """
    texts = [entry.text for entry in entries] if texts is None else texts
    return [f"{name} {_units(entry, clock)}: {text}" for entry, text in zip(entries, texts, strict=True)]


def prompt_texts(entries: Sequence[Entry], streams: Sequence[Stream]) -> list[str]:
    """The text of each entry's prompt, shortened; "prompt N" if its stream has no source."""
    texts = [stream.source.text if stream.source is not None else None for stream in streams]
    return [
        f"prompt {entry.text.strip()}" if text is None else shorten(text, _MOST_CHARACTERS) or "(empty)"
        for entry, text in zip(entries, texts, strict=True)
    ]


def never_acting(name: str, entries: Sequence[Entry], clock: Clock, texts: Sequence[str]) -> list[str]:
    """Warnings for prompts that are active in no step of the clock's run; [] if the clock lacks the data."""
    if clock.sigmas is None or len(entries) == 1:
        return []
    count = len(clock.sigmas) - 1
    try:  # a prompt is active until the next one has faded in
        acting = [clock.acting(entry.start, *(later.fade for later in entries[at : at + 1]))
                  for at, entry in enumerate(entries, 1)]  # fmt: skip
    except ValueError:  # times in percent, without a model
        return []
    steps = f"{count} {'step' if count == 1 else 'steps'}"
    return [
        f"{name}, {_units(entry, clock)}: this prompt acts in none of the run's {steps}: {text}"
        for entry, acts, text in zip(entries, acting, texts, strict=True) if not acts
    ]  # fmt: skip


def _units(entry: Entry, clock: Clock) -> str:
    if entry.start == entry.fade:
        return f"from {_all_units(entry.start, clock)}"
    return f"fading in from {_all_units(entry.start, clock)} to {_all_units(entry.fade, clock)}"


def _all_units(point: Point, clock: Clock) -> str:
    if point.value == 0 and point.unit != SIGMA:
        return "the start"
    values = {point.unit: f"{point.value:g}"}
    try:
        sigma = clock.sigma(point)
    except ValueError:
        sigma = None
    if sigma is not None:
        values.setdefault(SIGMA, f"{sigma:.3f}")
        if clock.sigmas is not None:
            steps = [clock.first + at for at, each in enumerate(clock.sigmas) if each <= sigma * NEARLY]
            values.setdefault(STEP, f"{steps[0]}" if steps else "after the last")
        if clock.sigma_at is not None:
            values.setdefault(PERCENT, f"{percent_at(sigma, clock.sigma_at):.1f}")
    forms = {STEP: "step {}", PERCENT: "{} % of time", SIGMA: "sigma {}"}
    return ", ".join(forms[unit].format(values[unit]) for unit in forms if unit in values)
