"""A study's numbers: of each prompt, and over all of them, as table, JSON, sentence and chart. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from ...quoting import shorten
from ...theme import colours
from ..influence.choices import PARTS
from ..percent import percent
from ..plots import charts, sheets
from .statistics import LEVEL, Summary, averaged, summary

WHOLE = PARTS[0]
TITLES = {
    "share_clip": "CLIP's share", "share_t5": "T5's share", "D_clip": "CLIP beside T5", "D_t5": "T5 beside CLIP",
    "solo_clip": "CLIP alone", "solo_t5": "T5 alone", "interaction": "interaction", "whole": "both",
}  # fmt: skip
HUES = {"share_clip": "clip", "D_clip": "clip", "solo_clip": "clip", "share_t5": "t5", "D_t5": "t5", "solo_t5": "t5"}
SHARES = ("share_clip", "share_t5")
TOLD = ("share_clip", "whole")  # whose outliers the sentence names
MOST_NAMED = 3


def record(table: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of one run's JSON (influence.reading.as_json): the numbers of its parts, with the only null's."""
    parts = {name: numbers and next(iter(numbers.values())) for name, numbers in table["parts"].items()}
    return {"parts": parts, "floor": table["floor"][WHOLE], "times": table["cost"]["times"]}


@dataclass(frozen=True)
class Study:
    """`prompts` are (CLIP prompt, T5 prompt); `records` [prompts][seeds] are those of `record`."""

    prompts: Sequence[tuple[str, str]]
    seeds: Sequence[int]
    records: Sequence[Sequence[Mapping[str, Any]]]

    def numbers(self, part: str) -> list[dict[str, float | None]]:
        """Each prompt's numbers in a part of the run, the mean over seeds; [] if no step of it was measured."""
        known = [[each["parts"][part] for each in of_prompt] for of_prompt in self.records]
        return [] if any(each is None for rows in known for each in rows) else [averaged(rows) for rows in known]

    def summaries(self, part: str) -> dict[str, Summary]:
        """Over all prompts, by number."""
        rows = self.numbers(part)
        found = {name: summary([row[name] for row in rows]) for name in TITLES} if rows else {}
        return {name: each for name, each in found.items() if each is not None}

    @cached_property
    def whole(self) -> dict[str, Summary]:
        return self.summaries(WHOLE)

    def name(self, number: int, most: int = 60) -> str:
        """A prompt as text."""
        clip, t5 = self.prompts[number]
        text = clip if clip == t5 else f"{clip or sheets.EMPTY} || {t5 or sheets.EMPTY}"
        return shorten(text or sheets.EMPTY, most)

    def sentence(self) -> str:
        found = self.whole.get("share_clip")
        if found is None:
            return "Neither prompt changes anything in this study."
        count = "1 prompt" if found.count == 1 else f"{found.count} prompts"
        text = (
            f"CLIP decides {percent(found.mean)}{_between(found)} of what both prompts change, the mean of {count}: "
            f'from {percent(self.value(found.least))} ("{self.name(found.least)}") to '
            f'{percent(self.value(found.most))} ("{self.name(found.most)}").'
        )
        return " ".join([text if found.count > 1 else text.split(":")[0] + ".", *self._outliers()])

    def value(self, number: int, name: str = "share_clip") -> float:
        return self.numbers(WHOLE)[number][name]

    def _outliers(self) -> list[str]:
        told = []
        for name in TOLD:
            places = self.whole[name].outliers if name in self.whole else ()
            if places:
                named = ", ".join(f'"{self.name(each, 40)}" ({percent(self.value(each, name))})'
                                  for each in places[:MOST_NAMED])  # fmt: skip
                more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
                what = "CLIP's share" if name == "share_clip" else "the effect of both prompts"
                told.append(f"Outliers in {what}: {named}{more}.")
        return told

    def csv(self) -> str:
        """A line for each prompt."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["clip_prompt", "t5_prompt", *TITLES, "outlier"])
        outliers = {each for name in TOLD if name in self.whole for each in self.whole[name].outliers}
        for number, (prompt, row) in enumerate(zip(self.prompts, self.numbers(WHOLE), strict=True)):
            values = ["" if row[name] is None else f"{row[name]:.6g}" for name in TITLES]
            writer.writerow([*prompt, *values, int(number in outliers)])
        return text.getvalue()

    def as_json(self, **more: Any) -> str:
        """All numbers; `more` goes to the top level."""
        parts = {part: {name: asdict(each) for name, each in self.summaries(part).items()} for part in PARTS}
        rows = [{"clip": clip, "t5": t5, "seeds": list(of_prompt)}
                for (clip, t5), of_prompt in zip(self.prompts, self.records, strict=True)]  # fmt: skip
        head = {"sentence": self.sentence(), "seeds": list(self.seeds), "level": LEVEL}
        return json.dumps({**head, "parts": parts, "prompts": rows, **more}, indent=1)

    def plot(self) -> Image.Image:
        """The means with their intervals, and the shares of all prompts in order."""
        bars = [charts.Bar(TITLES[name], each.mean, colours().of(HUES.get(name, "muted")), _clipped(each))
                for name, each in self.whole.items()]  # fmt: skip
        pages = [charts.bars(f"Mean of {len(self.prompts)} prompts, and its {LEVEL:.0%} confidence interval", bars)]
        rows = sorted((row for row in self.numbers(WHOLE) if row["share_clip"] is not None),
                      key=lambda row: row["share_clip"])  # fmt: skip
        if len(rows) > 1:
            series = [charts.Line(TITLES[name], [max(row[name], 0.0) for row in rows], colours().of(HUES[name]))
                      for name in SHARES]  # fmt: skip
            series.append(
                charts.Line("both, relative to the velocity", [row["whole"] for row in rows], colours().ink, (2, 4))
            )
            ticks = [str(number) for number in range(1, len(rows) + 1)]
            pages.append(charts.lines("Each prompt, in the order of CLIP's share", series, ticks, below="prompt"))
        return sheets.stack_vertically([*pages, sheets.note(self.sentence(), pages[0].width)])


def _between(found: Summary) -> str:
    if found.interval is None:
        return ""
    low, high = (percent(each)[:-2] for each in found.interval)
    return f" ({LEVEL:.0%} interval {low} to {high})"


def _clipped(found: Summary) -> tuple[float, float] | None:
    return found.interval and (max(found.interval[0], 0.0), max(found.interval[1], 0.0))
