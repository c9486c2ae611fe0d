"""Summarizes a reading of Encoder Influence in sentences. Pure."""

from __future__ import annotations

from ..percent import percent
from ..repainted import NOTHING_REPAINTED, repainted_sentence
from .choices import PARTS
from .effects import STREAMS, Numbers, pooled
from .reading import InfluenceReading, floor

NAMES = {"clip": "CLIP", "t5": "T5"}

# A prompt repeats the other if its solo effect is more than AUDIBLE of the whole effect (less is too little to
# compare), and its unique effect less than REPEATED of its solo effect. If the effects simply add up, both are equal.
AUDIBLE, REPEATED = 0.1, 0.5
# An effect is reported if it is more than CLEAR times the noise floor: it is a difference of two velocities, and each
# has that noise.
CLEAR = 2.0
NOTHING = 1e-9  # relative to the velocity: smaller effects are rounding


def sentence(reading: InfluenceReading) -> str:
    """The shares of both prompts, early and in the whole run, whether one repeats the other, and the cost."""
    null = reading.nulls[0]
    if (where := repainted_sentence(reading.repainted)) == NOTHING_REPAINTED:
        return f"{where} {cost(reading)}"
    numbers = reading.numbers(PARTS[0], null)
    clear = not _is_noise(numbers, reading, PARTS[0])
    repeats = _repeats(numbers) if clear else []
    parts = [_decides(reading, null, numbers), *repeats, *_other_null(reading), *_counted(reading), *_lengths(reading)]
    return " ".join(filter(None, [*parts, where, cost(reading)]))


def _decides(reading: InfluenceReading, null: str, numbers: Numbers) -> str:
    against = _against(null)
    if numbers["whole"] <= NOTHING:
        return f"Neither prompt has an effect compared with {against}: the velocity is the same without them."
    if too_small(numbers["whole"], reading.floor(PARTS[0])):
        return f"The effects are too small to say which prompt decides. {_size(reading, numbers)}"
    lead, other = sorted(STREAMS, key=lambda stream: numbers[f"share_{stream}"], reverse=True)
    if numbers[f"D_{other}"] <= NOTHING and numbers[f"solo_{other}"] <= NOTHING:
        idle = f"the {NAMES[other]} prompt changes nothing compared with {against}"
        return f"{NAMES[lead]} decides everything: {idle}. {_size(reading, numbers)}"
    early = reading.numbers(PARTS[1], null)
    share, steps = percent(numbers[f"share_{lead}"]), f"over all {_steps(reading.steps)}"
    if early is None or reading.steps < 3 or _is_noise(early, reading, PARTS[1]):
        text = f"{NAMES[lead]} decides {share} of the change {steps}"
    else:
        first = _steps(reading.steps_of(PARTS[1]))
        leads = max(STREAMS, key=lambda stream: early[f"share_{stream}"])
        then = f"and {share} {steps}" if leads == lead else f"but {NAMES[lead]} {share} {steps}"
        text = f"{NAMES[leads]} decides {percent(early[f'share_{leads}'])} of the change in the first {first} {then}"
    several = [(pooled([each.effects[null]]), floor([each])) for each in reading.moments]
    shares = [one[f"share_{other}"] for one, noise in several if not too_small(one["whole"], noise)]
    most = max((share for share in shares if share is not None), default=numbers[f"share_{other}"])
    measured = "" if reading.every == 1 else " measured"
    return f"{text}; {NAMES[other]} at most {percent(most)} in a{measured} step. {_size(reading, numbers)}"


def _is_noise(numbers: Numbers, reading: InfluenceReading, part: str) -> bool:
    return numbers["whole"] <= NOTHING or too_small(numbers["whole"], reading.floor(part))


def _size(reading: InfluenceReading, numbers: Numbers) -> str:
    noise = reading.floor(PARTS[0])
    again = "" if noise is None else f"; evaluating the same prompt again changes it by {_small(noise)}"
    return f"Both prompts together change the model's velocity by {percent(numbers['whole'])}{again}."


def too_small(effect: float, floor: float | None) -> bool:
    """Whether an effect is within the noise floor, both relative to the velocity."""
    return floor is not None and effect <= CLEAR * floor


def _repeats(numbers: Numbers) -> list[str]:
    sentences = []
    repeating = [stream for stream in STREAMS if repeats(numbers, stream)]
    for stream in repeating:
        other = NAMES[STREAMS[1 - STREAMS.index(stream)]]
        sentences.append(
            f"{NAMES[stream]} repeats what {other} says: it changes the velocity by "
            f"{percent(numbers[f'solo_{stream}'])} alone, and by {percent(numbers[f'D_{stream}'])} "
            f"in addition to {other}."
        )
    return sentences


def repeats(numbers: Numbers, stream: str) -> bool:
    """Whether most of a prompt's effect is one that the other prompt has as well; `stream` is "clip" or "t5"."""
    unique, solo = numbers[f"D_{stream}"], numbers[f"solo_{stream}"]
    return solo > AUDIBLE * numbers["whole"] and unique < REPEATED * solo


def _other_null(reading: InfluenceReading) -> list[str]:
    sentences = []
    for null in reading.nulls[1:]:
        numbers = reading.numbers(PARTS[0], null)
        if not _is_noise(numbers, reading, PARTS[0]):
            shares = " and ".join(f"{NAMES[stream]} {percent(numbers[f'share_{stream}'])}" for stream in STREAMS)
            sentences.append(f"Compared with {_against(null)}, the shares are {shares}.")
    return sentences


def _counted(reading: InfluenceReading) -> list[str]:
    if not reading.counted:
        return []
    return [
        f"All {reading.counted} tokens count as the T5 prompt: connect `txt` if Redux or Conditioning Concat added "
        "some of them."
    ]


def _lengths(reading: InfluenceReading) -> list[str]:
    if reading.lengths is None or reading.counted:  # with `counted`, some rows may be of another source
        return []
    prompt, empty = reading.lengths
    return [
        f"The T5 prompt has {prompt} tokens and the empty prompt {empty}: this difference alone changes these shares. "
        "Encode both with the same `length`."
    ]


def cost(reading: InfluenceReading) -> str:
    return f"The run took {reading.times:.3g} times the evaluations of a plain run."


def _against(null: str) -> str:
    return {"zeros": "zeros", "empty prompt": "the empty prompt"}[null]


def _small(share: float) -> str:
    """`percent` for shares that may be close to 0."""
    return "0 %" if share <= NOTHING else "less than 0.01 %" if share < 1e-4 else percent(share)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
