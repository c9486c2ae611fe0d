"""A reading in plain words, true of its numbers. Pure."""

from __future__ import annotations

from ..percent import percent
from ..repainted import NOTHING as KEPT
from ..repainted import told
from .effects import STREAMS, Numbers, pooled
from .reading import PARTS, InfluenceReading, floor

NAMES = {"clip": "CLIP", "t5": "T5"}

# When a stream is said to repeat the other: alone it does at least AUDIBLE of what both do together (less is too little
# to compare), and of that not even REPEATED is left beside the other. Two streams that simply add up keep all of it.
AUDIBLE, REPEATED = 0.1, 0.5
# An effect is told only where it is clearly more than what asking the same prompt again changes: the noise of two
# velocities of its own is in it.
CLEAR = 2.0
NOTHING = 1e-9  # of the velocity: what rounding alone might leave


def sentence(reading: InfluenceReading) -> str:
    """Who decides, early and in all, whether one repeats the other, and what the measurement cost."""
    null = reading.nulls[0]
    if (where := told(reading.repainted)) == KEPT:
        return f"{where} {cost(reading)}"
    numbers = reading.numbers(PARTS[0], null)
    clear = not _drowns(numbers, reading, PARTS[0])
    repeats = _repeats(numbers) if clear else []
    parts = [_decides(reading, null, numbers), *repeats, *_other_null(reading), *_counted(reading), *_lengths(reading)]
    return " ".join(filter(None, [*parts, where, cost(reading)]))


def _decides(reading: InfluenceReading, null: str, numbers: Numbers) -> str:
    against = _against(null)
    if numbers["whole"] <= NOTHING:
        return f"Neither prompt says more than {against}: both change exactly nothing."
    if too_small(numbers["whole"], reading.floor(PARTS[0])):
        return f"Too small to tell who decides. {_size(reading, numbers)}"
    lead, other = sorted(STREAMS, key=lambda stream: numbers[f"share_{stream}"], reverse=True)
    if numbers[f"D_{other}"] <= NOTHING and numbers[f"solo_{other}"] <= NOTHING:
        idle = f"{NAMES[other]}'s prompt changes nothing against {against}"
        return f"{NAMES[lead]} decides everything: {idle}. {_size(reading, numbers)}"
    early = reading.numbers(PARTS[1], null)
    whole = f"{percent(numbers[f'share_{lead}'])} of all {_steps(reading.steps)}"
    if early is None or reading.steps < 3 or _drowns(early, reading, PARTS[1]):
        said = f"{NAMES[lead]} decides {whole}"
    else:
        first = _steps(reading.steps_of(PARTS[1]))
        leads = max(STREAMS, key=lambda stream: early[f"share_{stream}"])
        then = f"and {whole}" if leads == lead else f"but {NAMES[lead]} {whole}"
        said = f"{NAMES[leads]} decides {percent(early[f'share_{leads}'])} of the first {first} {then}"
    several = [(pooled([each.effects[null]]), floor([each])) for each in reading.moments]
    shares = [one[f"share_{other}"] for one, noise in several if not too_small(one["whole"], noise)]
    most = max((share for share in shares if share is not None), default=numbers[f"share_{other}"])
    often = "" if reading.every == 1 else " measured"
    return f"{said}; {NAMES[other]} never more than {percent(most)} of a{often} step. {_size(reading, numbers)}"


def _drowns(numbers: Numbers, reading: InfluenceReading, part: str) -> bool:
    return numbers["whole"] <= NOTHING or too_small(numbers["whole"], reading.floor(part))


def _size(reading: InfluenceReading, numbers: Numbers) -> str:
    noise = reading.floor(PARTS[0])
    again = "" if noise is None else f"; the same prompt asked again changes {_small(noise)}"
    return f"Both prompts together change the model's velocity by {percent(numbers['whole'])}{again}."


def too_small(effect: float, floor: float | None) -> bool:
    """Whether an effect drowns in what asking the same prompt again changes."""
    return floor is not None and effect <= CLEAR * floor


def _repeats(numbers: Numbers) -> list[str]:
    said = []
    repeating = [stream for stream in STREAMS if repeats(numbers, stream)]
    for stream in repeating:
        other = NAMES[STREAMS[1 - STREAMS.index(stream)]]
        said.append(
            f"{NAMES[stream]} repeats what {other} says: alone it changes the velocity by "
            f"{percent(numbers[f'solo_{stream}'])}, beside {other} by {percent(numbers[f'D_{stream}'])}."
        )
    return said


def repeats(numbers: Numbers, stream: str) -> bool:
    """Whether a stream's effect is for the most part what the other does as well."""
    unique, solo = numbers[f"D_{stream}"], numbers[f"solo_{stream}"]
    return solo > AUDIBLE * numbers["whole"] and unique < REPEATED * solo


def _other_null(reading: InfluenceReading) -> list[str]:
    said = []
    for null in reading.nulls[1:]:
        numbers = reading.numbers(PARTS[0], null)
        if not _drowns(numbers, reading, PARTS[0]):
            shares = " and ".join(f"{NAMES[stream]} {percent(numbers[f'share_{stream}'])}" for stream in STREAMS)
            said.append(f"Against {_against(null)} it is {shares}.")
    return said


def _counted(reading: InfluenceReading) -> list[str]:
    if not reading.counted:
        return []
    return [
        f"All {reading.counted} rows of the text count as T5's prompt: connect `txt` if Redux or Conditioning Concat "
        "added some of them."
    ]


def _lengths(reading: InfluenceReading) -> list[str]:
    if reading.lengths is None or reading.counted:  # then other rows may be among the prompt's
        return []
    there, empty = reading.lengths
    return [
        f"The T5 prompt has {there} rows and the empty one {empty}: the number of rows alone moves these shares. "
        "Encode both with the same `length`."
    ]


def cost(reading: InfluenceReading) -> str:
    return f"Measured with {reading.times:.3g} times the evaluations of the plain run."


def _against(null: str) -> str:
    return {"zeros": "zeros", "empty prompt": "the empty prompt"}[null]


def _small(share: float) -> str:
    """As `percent`, for what may be next to nothing."""
    return "nothing" if share <= NOTHING else "less than 0.01 %" if share < 1e-4 else percent(share)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
