"""A check as sentences, a table, CSV and JSON. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from ..probe.percent import percent
from ..quoting import quoted, shorten
from .checking import Check
from .measure import CLIP_LIMIT, Count, Measured
from .triggers import Trigger

ROWS = 40  # of the table
MOST_PROBLEMS = 20  # shown on the node
NAMED = 3  # words beside a trigger that the sentence names
COLUMNS = ("caption", "clip_tokens", "clip_lost", "clip_cut_word", "clip_unread", "t5_tokens", "t5_lost",
           "t5_cut_word", "t5_unread", "t5_unknown", "without", "same_as", "text")  # fmt: skip


# ---- sentences


def sentence(check: Check) -> str:
    """What is cut, what is so of the triggers, and how many problems there were."""
    count = len(check.captions)
    clip, t5 = ([each.of(name).lost for each in check.captions if each.of(name).lost] for name in ("CLIP", "T5"))
    if not clip and not t5:
        text = f"CLIP and T5 read {_captions(count)} completely."
    else:
        text = f"CLIP cuts {_number(clip)} of {_captions(count)}{_longest(clip)}, T5 cuts {_number(t5)}{_longest(t5)}."
    problems = len(check.found.problems)
    last = [f"{problems:,} {'problem' if problems == 1 else 'problems'} with files: see the notes."] if problems else []
    return " ".join([text, *(_of_trigger(each, count) for each in check.triggers), *last])


def _number(values: Sequence[int]) -> str:
    return f"{len(values):,}" if values else "none"


def _longest(values: Sequence[int]) -> str:
    if not values:
        return ""
    many = f"{max(values):,} {'token' if max(values) == 1 else 'tokens'}"
    return f" ({many} lost)" if len(values) == 1 else f" (up to {many} lost)"


def _captions(count: int) -> str:
    return f"{count:,} {'caption' if count == 1 else 'captions'}"


def _of_trigger(each: Trigger, count: int) -> str:
    name, clip, t5 = f'"{shorten(each.text, 60)}"', len(each.clip), len(each.t5)
    text = f"The trigger {name} is {clip} {'token' if clip == 1 else 'tokens'} for CLIP and {t5} for T5"
    if not each.found:
        return f"{text}; no caption contains it."
    lack = len(each.missing)
    text += "; every caption contains it" if not lack else f"; {_captions(lack)} {'lacks' if lack == 1 else 'lack'} it"
    if not each.beside:
        return f"{text}."
    named = [f'"{word}" ({percent(share)})' for word, share in each.beside[:NAMED]]
    if len(named) == 1:
        return f"{text}; {named[0]} often appears with it and will be learned with it."
    return f"{text}; {', '.join(named[:-1])} and {named[-1]} often appear with it and will be learned with it."


def notes(check: Check) -> list[str]:
    """What else a user should know, a line each; then what could not be read."""
    found = list(_notes(check)) + [line for each in check.triggers for line in _trigger_notes(each)]
    problems, more = check.found.problems[:MOST_PROBLEMS], len(check.found.problems) - MOST_PROBLEMS
    return found + problems + ([f"And {more:,} more problems: see `json`."] if more > 0 else [])


def _notes(check: Check) -> Iterator[str]:
    found = check.found
    if len(found.sources) > 1:
        each = ", ".join(f"{name} {count:,}" for name, count in found.sources.items())
        yield f"Captions come from several sources; all are checked: {each}."
    if check.differing:
        yield f"{_count(check.differing, 'picture has', 'pictures have')} different captions in two places."
    if check.same:
        first = [" = ".join(names[:3]) for names in check.same]
        yield f"Several pictures have the same caption: {quoted(first, 80, 3)}."
    if check.unknown:
        texts = [text for text, _ in check.unknown.most_common(12)]
        many = sum(1 for each in check.captions if each.t5.unknown)
        yield f"T5 has no token for {quoted(texts, 12, 12)} (in {_captions(many)})."
    for names, one, several in (
        (found.empty, "caption is empty", "captions are empty"),
        (found.bare, "picture has no caption", "pictures have no caption"),
        (check.several_lines, "caption has several lines; sd-scripts reads only the first",
         "captions have several lines; sd-scripts reads only the first"),
        (found.marked, "file is not in plain UTF-8, as trainers expect",
         "files are not in plain UTF-8, as trainers expect"),
        (check.weighted, "caption has a weight such as (word:1.2); trainers read it as plain text",
         "captions have weights such as (word:1.2); trainers read them as plain text"),
    ):  # fmt: skip
        if names:
            yield f"{_count(names, one, several)}: {quoted(names, 60, 3)}."


def _count(names: Sequence[str], one: str, several: str) -> str:
    return f"{len(names):,} {one if len(names) == 1 else several}"


def _trigger_notes(each: Trigger) -> Iterator[str]:
    name = f'"{shorten(each.text, 60)}"'
    if each.unknown:
        parts = quoted(list(each.unknown), 12)
        yield f"T5 has no token for {parts} in the trigger {name}: it cannot tell unknown characters apart."
    for names, words in (
        (each.missing if each.found else (), "without the trigger {}"),
        (each.other_letters, "with {} in different upper or lower case, which T5 reads as other tokens"),
        (each.past_clip, "with {} only in the part that CLIP cuts off"),
        (each.past_t5, "with {} only in the part that T5 cuts off"),
    ):
        if names:
            yield f"{_captions(len(names))} {words.format(name)}: {quoted(list(names), 60, 5)}."


# ---- tables


def table(check: Check) -> str:
    """The captions, those that lose most first, in columns; shortened."""
    worst, limit = check.worst_first, check.t5_length - 1
    without, same = _by_name(check)
    lines = [("CLIP", "T5", "caption", "text not read, and notes")]
    lines += (_line(each, limit, "; ".join(_remarks(each, without, same))) for each in worst[:ROWS])
    widths = [max(len(line[at]) for line in lines) for at in range(3)]
    text = [f"{a:>{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in lines]
    if len(worst) > ROWS:
        text.append(f"... and {len(worst) - ROWS:,} more")
    return "\n".join(text)


def _line(each: Measured, t5_limit: int, remarks: str) -> tuple[str, str, str, str]:
    counts = f"{each.clip.tokens}/{CLIP_LIMIT}", f"{each.t5.tokens}/{t5_limit}"
    return (*counts, shorten(each.caption.name, 40), remarks)


def _remarks(each: Measured, without: dict, same: dict) -> Iterator[str]:
    for name in ("CLIP", "T5"):
        if each.of(name).lost:
            yield f"{name}: {_cut(each, each.of(name), 60)}"
    if each.caption.name in without:
        yield f"no {', '.join(without[each.caption.name])}"
    if each.caption.name in same:
        yield f"same text as {same[each.caption.name]}"
    if each.t5.unknown:
        yield f"unknown to T5: {quoted(list(each.t5.unknown), 12)}"


def _cut(each: Measured, count: Count, most: int) -> str:
    """The text that is not read, with the beginning of a word that the cut falls into: "wa|tercolour, on paper"."""
    begun = f"{count.split[0]}|" if count.split else ""
    return shorten(begun + each.unread(count), most)


def _by_name(check: Check) -> tuple[dict[str, list[str]], dict[str, str]]:
    """(the triggers that each caption is without, another caption with the same text)."""
    without: dict[str, list[str]] = {}
    for trigger in check.triggers:
        for name in trigger.missing:
            without.setdefault(name, []).append(trigger.text)
    same = {name: names[0] if name != names[0] else names[1] for names in check.same for name in names}
    return without, same


def rows(check: Check) -> Iterator[tuple]:
    """A row of COLUMNS for each caption, in the order of the files."""
    without, same = _by_name(check)
    for each in check.captions:
        name, clip, t5 = each.caption.name, each.clip, each.t5
        yield (name, clip.tokens, clip.lost, "|".join(clip.split or ()), each.unread(clip),
               t5.tokens, t5.lost, "|".join(t5.split or ()), each.unread(t5), " ".join(t5.unknown),
               ", ".join(without.get(name, [])), same.get(name, ""), each.caption.text)  # fmt: skip


def as_csv(check: Check) -> str:
    """All captions. What a spreadsheet would take for a formula begins with an apostrophe there."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_no_formula(cell) for cell in row] for row in rows(check))
    return text.getvalue()


def _no_formula(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def as_json(check: Check) -> str:
    """All numbers; the captions in a list for each column."""
    columns = zip(*rows(check), strict=True)
    found = check.found
    return json.dumps({
        "sentence": sentence(check), "where": check.where,
        "limits": {"clip": CLIP_LIMIT, "t5": check.t5_length - 1},
        "captions": dict(zip(COLUMNS, map(list, columns), strict=True)),
        "triggers": [_trigger_json(each, len(check.captions)) for each in check.triggers],
        "same_text": [list(names) for names in check.same], "differing": list(check.differing),
        "unknown_to_t5": dict(check.unknown), "several_lines": check.several_lines, "weighted": check.weighted,
        "sources": dict(found.sources), "empty": found.empty, "not_plain_utf8": found.marked,
        "pictures_without_caption": found.bare, "problems": found.problems,
    })  # fmt: skip


def _trigger_json(each: Trigger, count: int) -> dict:
    return {
        "trigger": each.text, "clip": list(each.clip), "t5": list(each.t5), "captions": each.found, "of": count,
        "missing": list(each.missing), "other_letters": list(each.other_letters), "past_clip": list(each.past_clip),
        "past_t5": list(each.past_t5), "unknown_to_t5": list(each.unknown), "beside": dict(each.beside),
    }  # fmt: skip
