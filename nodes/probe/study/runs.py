"""A study's runs, here or on workers: Encoder Influence's reading of each prompt and seed. Imports ComfyUI.

What is kept of a run is a small JSON beside Prompt Grid's cells, under a key of all that its numbers depend on. So an
interrupted study goes on where it stopped, and a longer file of prompts measures only the new ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...cluster import graph
from ...cluster.choices import Workers
from ...cluster.remote import Team, given_up, remote
from ...compat.memory import check_interrupted
from ...condition.conditioning import join
from ...condition.hooks import MERGES
from ...disk.fingerprints import NotHashable, digest
from ...notice import show
from ...sample.sampling import SamplingPlan, sample
from ...streams import TXT, VEC, ClipVec, T5Text
from ..grid import identity
from ..grid.cells import Cells, cells
from ..hooks import probed
from ..influence.reading import as_json
from ..influence.recorder import KEY, InfluencePlan, InfluenceRecorder
from ..reading_store import ReadingStore
from ..replace_prompt import Null, plain
from .choices import EMPTY, NAME, ZEROS
from .reading import record

VERSION = 1  # raise it when the same inputs give other numbers

Pair = tuple[ClipVec, T5Text]


@dataclass(frozen=True)
class Measure:
    """How each run is measured. `empty` are the encodings of the empty prompt."""

    guidance: float
    null: str
    every: int
    empty: Pair
    latent: dict
    plan: SamplingPlan


@dataclass
class Runs:
    """All runs of a study, prompt by prompt: `prompts` x `seeds`; `done` are the records by number."""

    model: Any
    prompts: Sequence[Pair]
    seeds: Sequence[int]
    measure: Measure
    keep: bool = True
    done: dict[int, dict] = field(default_factory=dict)
    keys: list[str | None] = field(default_factory=list)
    found: int = 0

    def __post_init__(self):
        self.shelf: Cells = cells()
        model = identity.of_model(self.model) if self.keep else None
        self.keys = [self._key(model, number) for number in range(len(self.prompts) * len(self.seeds))]

    def at(self, number: int) -> tuple[Pair, SamplingPlan]:
        prompt, seed = divmod(number, len(self.seeds))
        return self.prompts[prompt], replace(self.measure.plan, seed=self.seeds[seed])

    def _key(self, model: str | None, number: int) -> str | None:
        measure, ((vec, txt), plan) = self.measure, self.at(number)
        own = identity.of_cell(model, vec, txt, measure.guidance, measure.latent, plan)
        nulls = [each.spans[0].tensor for each in measure.empty] if measure.null == EMPTY else []
        try:
            return own and digest(["influence", VERSION, own, measure.null, measure.every, nulls])
        except NotHashable:
            return None

    def look_up(self, of_workers: bool) -> None:
        """Takes the records that are kept, those of workers too if `of_workers`."""
        for number, key in enumerate(self.keys):
            for each in filter(None, [key, _of_worker(key)] if of_workers else [key]):
                if (facts := self.shelf.get_facts(each)) is not None:
                    self.done[number] = facts
                    break
        self.found = len(self.done)

    @property
    def missing(self) -> list[int]:
        return [number for number in range(len(self.keys)) if number not in self.done]

    def add(self, number: int, facts: dict, key: str | None) -> None:
        if key:
            self.shelf.put_facts(key, facts)
        self.done[number] = facts

    def status(self) -> str:
        before = f", {self.found} of them from before" if self.found else ""
        return f"run {len(self.done)} of {len(self.keys)}{before}"

    def here(self) -> None:
        """Measures the missing runs in this process."""
        nulls = _nulls(self.measure)
        usual = self.measure.empty[1].spans[0].tensor.shape[1]
        for number in self.missing:
            check_interrupted()
            show(self.status())
            (vec, txt), plan = self.at(number)
            probe = ReadingStore(NAME)
            wanted = InfluencePlan(nulls, self.measure.every, None, usual)
            model = probed(self.model, probe, KEY, lambda *run, wanted=wanted: InfluenceRecorder(wanted, *run))
            prompt = join(vec, txt, self.measure.guidance, MERGES)
            latent = sample(model, prompt, None, self.measure.latent, plan)
            self.add(number, record(as_json(probe.reading(latent), "")), self.keys[number])

    def on(self, workers: Workers, prompt: graph.Prompt, node: str) -> list[str]:
        """Measures the missing runs on workers; returns messages. Raises ValueError for runs that were given up."""
        links = {name: graph.source(prompt, node, name, NAME) for name in ("model", "latent")}
        with remote(workers, graph.cut(prompt, list(links.values())), NAME) as team:
            team.gather(KINDS)
            runs = _OnWorkers(self, team, links)
            failures = team.run(self.missing, runs.work, runs.arrived, self.status)
        if failures:
            raise ValueError(given_up(failures, NAME))
        return team.notes


def _of_worker(key: str | None) -> str | None:
    return key and digest(["workers", key])


def _nulls(measure: Measure) -> list[Null]:
    vec, txt = measure.empty
    if measure.null == ZEROS:
        return [Null(ZEROS, {VEC: None, TXT: None})]
    texts = {VEC: plain(vec, "empty_vec"), TXT: plain(txt, "empty_txt")}
    return [Null(EMPTY, texts, empty=txt.spans[0].tensor)]


# ---- a run as a workflow: nodes that anyone could connect so on the canvas

KINDS = ("FluxDuetLoadStream", "FluxDuetDualPrompt", "FluxDuetInfluence", "FluxDuetSampler", "FluxDuetInfluenceShow",
         "PreviewAny")  # fmt: skip
JSON_OUTPUT = 6  # of Show Influence


class _OnWorkers:
    def __init__(self, runs: Runs, team: Team, links: dict):
        self.runs, self.team, self.links = runs, team, links
        vec, txt = runs.measure.empty
        self.empty = team.embedding(vec=vec, txt=txt)
        self.files: dict[tuple[int, int], str] = {}

    def work(self, number: int) -> tuple[dict, dict]:
        (vec, txt), plan = self.runs.at(number)
        key = id(vec), id(txt)
        if key not in self.files:
            self.files[key] = self.team.embedding(vec=vec, txt=txt)
        file = self.files[key]
        return self.team.bring(self._nodes(file, plan), file, self.empty)

    def _nodes(self, file: str, plan: SamplingPlan) -> dict[str, dict]:
        measure, own = self.runs.measure, graph.OWN

        def to(name: str, slot: int = 0) -> list:
            return [f"{own}{name}", slot]

        given = {
            "prompt": {"file": file},
            "empty": {"file": self.empty},
            "joined": {"vec": to("prompt", 0), "txt": to("prompt", 1), "guidance": measure.guidance},
            "probed": {"model": self.links["model"], "null": measure.null, "every": measure.every,
                       "empty_vec": to("empty", 0), "empty_txt": to("empty", 1)},
            "sampled": {"model": to("probed", 0), "positive": to("joined"), "latent": self.links["latent"],
                        "seed": plan.seed, "steps": plan.steps, "sampler": plan.sampler, "scheduler": plan.scheduler,
                        "denoise": plan.denoise},
            "shown": {"probe": to("probed", 1), "latent": to("sampled"), "part": "whole run"},
            "told": {"source": to("shown", JSON_OUTPUT)},
        }  # fmt: skip
        kinds = dict(zip(given, (KINDS[0], *KINDS), strict=True))
        return {f"{own}{name}": {"class_type": kinds[name], "inputs": inputs} for name, inputs in given.items()}

    def arrived(self, number: int, result: dict) -> None:
        text = result["ui"][f"{graph.OWN}told"]["text"][0]
        facts = {name: result[name] for name in ("host", "seconds", "tries")}
        self.runs.add(number, {**record(json.loads(text)), "made": facts}, _of_worker(self.runs.keys[number]))
