"""Results -> the report, as JSON and as Markdown. Pure: it runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from ..bench.measure import Comparison, ratio, table

DONE, FAILED, NOT_RUN = "done", "failed", "not run"
FORMAT = 1  # of the JSON; a change of meaning gets the next number
NO_GPU = "not measured on a CPU"


@dataclass(frozen=True)
class Equal:
    """Whether the results of both sides have equal bits; `detail` tells how they differ."""

    what: str
    equal: bool
    detail: str = ""

    def renamed(self, what: str) -> Equal:
        return replace(self, what=what)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "equal", "what": self.what, "equal": self.equal, "detail": self.detail}


@dataclass(frozen=True)
class Cost:
    """The time of both sides, and their peak device memory; None on a CPU.

    `computed` is the ratio of multiplications: what the time ratio would be if computing were all it takes.
    """

    time: Comparison
    memory: Comparison | None = None
    computed: float | None = None

    @property
    def what(self) -> str:
        return self.time.name

    def renamed(self, what: str) -> Cost:
        return replace(self, time=replace(self.time, name=what))

    def as_json(self) -> dict[str, Any]:
        memory = NO_GPU if self.memory is None else _numbers(self.memory)
        more = {} if self.computed is None else {"computed_ratio": self.computed}
        return {"kind": "cost", "what": self.time.name, "seconds": _numbers(self.time), "bytes": memory, **more}


@dataclass(frozen=True)
class Fact:
    """A number or a word that has no other side."""

    what: str
    value: str | float | int
    unit: str = ""

    def renamed(self, what: str) -> Fact:
        return replace(self, what=what)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "fact", "what": self.what, "value": self.value, "unit": self.unit}


Row = Equal | Cost | Fact


@dataclass(frozen=True)
class Outcome:
    """What became of a section. `why` is the reason why it was not run, or the traceback of its failure."""

    name: str
    title: str
    status: str
    seconds: float = 0.0
    rows: Sequence[Row] = ()
    why: str = ""

    @property
    def differs(self) -> bool:
        return any(isinstance(row, Equal) and not row.equal for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        rows = [row.as_json() for row in self.rows]
        head = {"name": self.name, "title": self.title, "status": self.status, "seconds": round(self.seconds, 3)}
        return {**head, "rows": rows, "why": self.why}


@dataclass(frozen=True)
class Report:
    """All outcomes, with `about`: device, versions and settings by their names."""

    about: Mapping[str, Any]
    outcomes: Sequence[Outcome]
    hidden: Mapping[str, str] = field(default_factory=dict)  # texts to replace: a user's folders by short names

    @property
    def passed(self) -> bool:
        return not any(each.status == FAILED or each.differs for each in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        outcomes = [each.as_json() for each in self.outcomes]
        found = {"format": FORMAT, "passed": self.passed, "about": dict(self.about), "sections": outcomes}
        return _replaced(found, self.hidden)

    def as_markdown(self) -> str:
        parts = ["## Flux Duet check", self.summary(), _about(self.about), self._costs(), self._equal(), self._facts()]
        text = "\n\n".join(filter(None, [*parts, self._not_run(), *self._failures()])) + "\n"
        return _replaced(text, self.hidden)

    def summary(self) -> str:
        """One sentence: what was equal, what was not, what failed, what was not run."""
        rows = [row for each in self.outcomes for row in each.rows if isinstance(row, Equal)]
        failed, left_out = self._with(FAILED), self._with(NOT_RUN)
        differ = [row.what for row in rows if not row.equal]
        parts = [f"{sum(row.equal for row in rows)} of {len(rows)} comparisons are equal bit for bit"]
        parts += [f"different: {', '.join(differ)}"] if differ else []
        parts += [f"failed: {', '.join(each.name for each in failed)}"] if failed else ["nothing failed"]
        parts += [f"not run: {len(left_out)} of {len(self.outcomes)} sections"] if left_out else []
        return f"**{'Passed' if self.passed else 'NOT passed'}**: {'; '.join(parts)}."

    def _with(self, status: str) -> list[Outcome]:
        return [each for each in self.outcomes if each.status == status]

    def _of(self, kind: type) -> list[Any]:
        return [row for each in self.outcomes for row in each.rows if isinstance(row, kind)]

    def _costs(self) -> str:
        heads = ["", "native or plain", "ours", "time, ratio", "lowest, highest", "computed", "peak memory, ratio"]
        rows = [_cost_cells(each) for each in self._of(Cost)]
        return "### Time and memory\n\n" + table(heads, rows) if rows else ""

    def _equal(self) -> str:
        rows = [[each.what, "equal" if each.equal else f"**different**: {each.detail}"] for each in self._of(Equal)]
        return "### Equal bits\n\n" + table(["ours and native", ""], rows) if rows else ""

    def _facts(self) -> str:
        rows = [[each.what, f"{each.value} {each.unit}".strip()] for each in self._of(Fact)]
        return "### Also measured\n\n" + table(["", ""], rows) if rows else ""

    def _not_run(self) -> str:
        by_reason: dict[str, list[str]] = {}
        for each in self._with(NOT_RUN):
            by_reason.setdefault(each.why, []).append(each.name)
        lines = [f"* not run: {', '.join(f'`{name}`' for name in names)}: {why}" for why, names in by_reason.items()]
        return "### Not run\n\n" + "\n".join(lines) if lines else ""

    def _failures(self) -> list[str]:
        failed = self._with(FAILED)
        return [f"### Failed: {each.title} (`{each.name}`)\n\n```\n{each.why.strip()}\n```" for each in failed]


def _numbers(found: Comparison) -> dict[str, Any]:
    sides = {"native": median(found.native), "ours": median(found.ours)}
    return {**sides, "ratio": found.ratio, "lowest": min(found.ratios), "highest": max(found.ratios),
            "rounds": len(found.ratios)}  # fmt: skip


def _cost_cells(cost: Cost) -> list[str]:
    time, memory = cost.time, cost.memory
    medians = [time.as_text(median(side)) for side in (time.native, time.ours)]
    span = f"{ratio(min(time.ratios))}, {ratio(max(time.ratios))}"
    peak = NO_GPU if memory is None else f"{ratio(memory.ratio)} ({memory.as_text(median(memory.ours))})"
    computed = "" if cost.computed is None else ratio(cost.computed)
    return [time.name, *medians, ratio(time.ratio), span, computed, peak]


def _about(about: Mapping[str, Any]) -> str:
    return table(["", ""], [[name, str(value)] for name, value in about.items()])


def _replaced(found: Any, hidden: Mapping[str, str]) -> Any:
    """The same, with each key of `hidden` in any of its texts replaced by its value; the longest first."""
    if isinstance(found, str):
        for text in sorted(hidden, key=len, reverse=True):
            found = found.replace(text, hidden[text])
        return found
    if isinstance(found, Mapping):
        return {name: _replaced(value, hidden) for name, value in found.items()}
    return [_replaced(each, hidden) for each in found] if isinstance(found, list) else found
