"""A sweep's runs on workers: each takes runs that switch at neighbouring steps. Imports ComfyUI.

A part samples prompt A up to its last switch, and its own runs from there on; so few large parts cost fewer steps than
many small ones, and there are about twice as many parts as workers. Each run's latent is kept beside Prompt Grid's
cells, so that a stopped sweep goes on, also with another number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...cluster import graph
from ...cluster.choices import Workers
from ...cluster.remote import Team, given_up, remote
from ...compat.memory import result_device
from ...condition.conditioning import split
from ...disk.fingerprints import NotHashable, digest
from ...sample.sampling import SamplingPlan
from ..grid import identity
from ..grid.cells import Cells, cells
from ..grid.one_cell import come_home
from ..latent_mask import mask_of
from .choices import BOTH, NAME
from .runner import Swept, planned, switches

PART = f"{graph.OWN}part"
KINDS = ("FluxDuetSweepPart", "FluxDuetLoadStream", "FluxDuetDualPrompt")
PER_WORKER = 2  # parts of a sweep
VERSION = 1  # raise it when the same inputs give other latents


@dataclass
class SweepOnWorkers:
    """A Switch Sweep that runs as `node` in the workflow `prompt`; `after` is the CONDITIONING after the switch."""

    workers: Workers
    prompt: graph.Prompt
    node: str
    model: Any
    a: list
    after: list
    switch: str
    latent: dict
    plan: SamplingPlan
    batch: int
    samples: dict[int, Tensor] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)  # how many runs each machine made
    found: int = 0

    def sweep(self, every: int) -> tuple[Swept, list[str]]:
        """As runner.sweep; and messages. Raises ValueError for runs that were given up."""
        sigmas, percents = planned(self.model, self.a, self.after, self.latent, self.plan)
        wanted = switches(len(sigmas) - 1, every)
        shelf = cells()
        whole = self._key()
        keys = {step: whole and digest([whole, step]) for step in wanted}
        for step, key in keys.items():
            if key and (kept := shelf.get(key)) is not None:
                self.samples[step] = kept
        self.found = len(self.samples)
        notes, missing = [], [step for step in wanted if step not in self.samples]
        if missing:
            notes = self._draw(missing, len(sigmas) - 1, keys, shelf)
        rows = torch.cat([self.samples[step] for step in wanted]).to(result_device())
        evaluated = wanted[-1], sum(wanted[-1] - step for step in wanted)
        return Swept(wanted, rows, sigmas, percents, evaluated, mask_of(self.latent, rows[:1])), notes

    def _key(self) -> str | None:
        """A digest of all that the runs depend on; None if unknown."""
        try:
            model, streams = identity.of_model(self.model), [split(each, NAME) for each in (self.a, self.after)]
            own = [identity.of_cell(model, vec, txt, guidance, self.latent, self.plan)
                   for vec, txt, guidance in streams]  # fmt: skip
            return digest(["sweep", VERSION, *own]) if all(own) else None
        except (NotHashable, ValueError):  # prompts that differ in guidance
            return None

    def _draw(self, missing: Sequence[int], steps: int, keys: dict[int, str | None], shelf: Cells) -> list[str]:
        links = {name: graph.source(self.prompt, self.node, name, NAME) for name in ("model", "latent")}
        given = {name: graph.source(self.prompt, self.node, name, NAME) for name in ("a", "b")}
        plain = _can_travel(self.a) and _can_travel(self.after)
        roots = [*links.values(), *([] if plain else given.values())]
        with remote(self.workers, graph.cut(self.prompt, roots), NAME) as team:
            team.gather(KINDS)
            parts = cut_into_parts(missing, steps, PER_WORKER * len(team.seats))
            nodes, files = self._prompts(team) if plain else ({}, [])
            ends = {"a": [f"{graph.OWN}a", 0], "b": [f"{graph.OWN}b", 0]} if plain else given
            switch = BOTH if plain else self.switch

            def work(number: int) -> tuple[dict, dict]:
                inputs = {
                    **links, **ends, "switch": switch, "seed": self.plan.seed, "steps": self.plan.steps,
                    "scheduler": self.plan.scheduler, "only": ", ".join(map(str, parts[number])), "batch": self.batch,
                }  # fmt: skip
                return team.bring({**nodes, PART: {"class_type": KINDS[0], "inputs": inputs}}, *files)

            def done(number: int, result: dict) -> None:
                latents, facts = come_home(result)
                machine = f"{facts['host']}, {facts['device']}"
                self.made[machine] = self.made.get(machine, 0) + len(latents)
                for step, row in zip(parts[number], latents.split(1), strict=True):
                    self.samples[step] = row
                    if keys[step]:
                        shelf.put(keys[step], row)

            failures = team.run(range(len(parts)), work, done, self._status(len(keys)))
        if failures:
            raise ValueError(given_up(failures, NAME))
        return team.notes

    def _status(self, count: int):
        return lambda: f"run {len(self.samples)} of {count}"

    def _prompts(self, team: Team) -> tuple[dict, list[str]]:
        """The nodes that load both prompts, and their files."""
        nodes, files = {}, []
        for name, conditioning in (("a", self.a), ("b", self.after)):
            vec, txt, guidance = split(conditioning, NAME)
            file = team.embedding(vec=vec, txt=txt)
            load = f"{graph.OWN}{name}_file"
            joined = {"vec": [load, 0], "txt": [load, 1], "guidance": guidance}
            nodes[load] = {"class_type": KINDS[1], "inputs": {"file": file}}
            nodes[f"{graph.OWN}{name}"] = {"class_type": KINDS[2], "inputs": joined}
            files.append(file)
        return nodes, files


def _can_travel(conditioning: list) -> bool:
    """Whether a CONDITIONING can be saved as embeddings; else the workers' own encoders make it."""
    from ...encode.embeddings.stream_file import fault

    try:
        vec, txt, _ = split(conditioning, NAME)
    except ValueError:
        return False
    return not fault({"vec": vec, "txt": txt})


def cut_into_parts(steps_of: Sequence[int], steps: int, count: int) -> list[list[int]]:
    """Neighbouring switches in at most `count` parts of nearly equal cost, which is the steps that they take."""
    costs = [steps - step + 1 for step in steps_of]
    whole, parts, spent = sum(costs), [[]], 0
    for step, cost in zip(steps_of, costs, strict=True):
        if parts[-1] and spent + cost / 2 > whole * len(parts) / count:
            parts.append([])
        parts[-1].append(step)
        spent += cost
    return parts
