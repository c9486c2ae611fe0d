"""Summarizes a sweep as sentences, JSON and pictures. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from ...theme import colours
from ..plots import charts, sheets
from ..repainted import NOTHING_REPAINTED, repainted_sentence
from .distances import Distances, between, decided

HUES = {"T5": "t5", "CLIP": "clip", "both": "ink"}


@dataclass(frozen=True)
class Story:
    """The data of a summary. `distances` has "latents", and "pixels" if a VAE is connected."""

    stream: str
    switches: Sequence[int]
    sigmas: Sequence[float]
    percents: Sequence[float]
    rows: tuple[int, int]
    distances: Mapping[str, Distances]
    note: str = ""  # appended to the sentence
    repainted: Tensor | None = None  # [1]: the repainted share of the picture; None without a mask

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def decided(self) -> float | None:
        return decided(self.switches, self.distances["latents"].way)

    def at(self, step: float) -> str:
        """A step as sigma and percent of time, which do not depend on the number of steps."""
        return f"sigma {between(self.sigmas, step):.2f}, {between(self.percents, step):.0f} % of time"

    @property
    def sentence(self) -> str:
        where = repainted_sentence(self._share)
        return " ".join(filter(None, [where] if where == NOTHING_REPAINTED else [self._decides(), where, self.note]))

    @property
    def _share(self) -> list[float] | None:
        return None if self.repainted is None else self.repainted.tolist()

    def _decides(self) -> str:
        step = self.decided
        if step is None:
            return "Both prompts give the same picture, so no step decides between them."
        return (
            f"The picture is decided at step {step:.1f} of {self.steps} ({self.at(step)}): a later "
            f"switch to {self._switched()} moves it less than half of the way from A's picture to B's."
        )

    def as_json(self, settings: Mapping[str, Any] | None = None) -> str:
        """All numbers; `settings` are those of run_settings.of_plan."""
        evaluated = {"a": self.rows[0], "switched": self.rows[1], "all": sum(self.rows)}
        numbers = {
            "road": self.stream,
            "steps": self.steps,
            "sentence": self.sentence,
            "settings": settings,
            "repainted": self._share and self._share[0],
            "decided": {name: self._moment(decided(self.switches, each.way)) for name, each in self.distances.items()},
            "rows_evaluated": evaluated,
            "runs": [self._run(number) for number in range(len(self.switches))],
        }
        return json.dumps(numbers, indent=1)

    def columns(self) -> dict:
        """The front end's data: a list for each column, with a value for each switch."""
        each = self.distances["latents"]
        return {
            "sentence": self.sentence, "road": self.stream, "steps": self.steps, "decided": self._mark(exact=True),
            "step": list(self.switches), "sigma": [round(self.sigmas[step], 4) for step in self.switches],
            "percent": [round(self.percents[step], 1) for step in self.switches],
            **{name: [None if value is None else round(value, 4) for value in values]
               for name, values in asdict(each).items()},
        }  # fmt: skip

    def _moment(self, step: float | None) -> dict | None:
        if step is None:
            return None
        units = {"sigma": self.sigmas, "percent": self.percents}
        return {"step": round(step, 3), **{name: round(between(each, step), 4) for name, each in units.items()}}

    def _run(self, number: int) -> dict:
        step = self.switches[number]
        return {
            "switch_at": step,
            "sigma": round(self.sigmas[step], 6),
            "percent": round(self.percents[step], 4),
            **{name: {key: values[number] for key, values in asdict(each).items()}
               for name, each in self.distances.items()},
        }  # fmt: skip

    def curve(self) -> Image.Image:
        """A chart of both distances between latents over the step of the switch."""
        hue, each = colours().of(HUES[self.stream]), self.distances["latents"]
        series = [
            charts.Line("to pure A", self._over_steps(each.to_a), hue),
            charts.Line("to pure B", self._over_steps(each.to_b), colours().muted, (9, 4)),
        ]
        ticks = [f"{step}\n{self.sigmas[step]:.2f}" for step in range(self.steps + 1)]
        title = f"Distance to pure A and pure B, with {self._switched()} from each step on"
        page = charts.lines(title, series, ticks, below="step of the switch, with its sigma")
        if self.decided is None:
            return page
        return sheets.marked(page, self.decided / self.steps, f"decided at {self.decided:.1f}", hue)

    def _over_steps(self, values: Sequence[float | None]) -> list[float | None]:
        """A value for each step, interpolated linearly between switches."""
        out: list[float | None] = [None] * (self.steps + 1)
        for n, step in enumerate(self.switches[:-1]):
            after, ends = self.switches[n + 1], values[n : n + 2]
            for at in range(step, after + 1):
                out[at] = None if ends[0] is None else ends[0] + (at - step) / (after - step) * (ends[1] - ends[0])
        return out

    def strip(self, pictures: Sequence[Image.Image], kind: str) -> Image.Image:
        """A frame for each switch, from pure B to pure A. `kind` is a note if `pictures` are not decoded ones."""
        way = self.distances["latents"].way
        frames = [
            sheets.Frame(picture, self._head(k), [self._when(k)], share or 0.0)
            for picture, k, share in zip(pictures, self.switches, way, strict=True)
        ]
        note = "Bars: how far each picture moved from A to B. Below: sigma and percent of time at the switch."
        title = f"Prompt A, then {self._switched()} from the step shown"
        hue = colours().of(HUES[self.stream])
        return sheets.film_strip(title, f"{note} {kind}".strip(), frames, self._mark(), hue)

    def _switched(self) -> str:
        return {"both": "both of B's prompts"}.get(self.stream, f"B's {self.stream} prompt")

    def _head(self, step: int) -> str:
        if step == 0:
            return "B throughout"
        return "A throughout" if step == self.steps else f"B from step {step}"

    def _when(self, step: int) -> str:
        return f"sigma {self.sigmas[step]:.2f}, {self.percents[step]:.0f} %"

    def _mark(self, exact: bool = False) -> float | None:
        """The decided step as a frame index with a fraction; unless `exact`, at most 0.99 after a frame."""
        step = self.decided
        if step is None:
            return None
        n = max(n for n, k in enumerate(self.switches) if k <= step)
        n = min(n, len(self.switches) - 2)
        share = (step - self.switches[n]) / (self.switches[n + 1] - self.switches[n])
        return n + (share if exact else min(0.99, share))
