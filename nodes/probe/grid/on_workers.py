"""Draws a grid's missing cells on workers. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from ...cluster import graph
from ...cluster.choices import Workers
from ...cluster.remote import Team, given_up, remote
from ...compat.execution import running_node_id
from ...disk.fingerprints import digest
from ...disk.machine import machine
from ...sample.sampling import SamplingPlan
from ...streams import Stream
from .arriving import Arriving
from .cells import Drawing, Place
from .choices import NAME
from .one_cell import come_home

CELL, LORA = f"{graph.OWN}cell", f"{graph.OWN}lora"  # ids of the nodes that a cell adds
CELL_NODE, LORA_NODE = "FluxDuetCell", "LoraLoaderModelOnly"


@dataclass(frozen=True)
class GridWorkers:
    """The workers of a Prompt Grid that runs as `node` in the workflow `prompt`. `extras` are those of `like`."""

    workers: Workers
    prompt: graph.Prompt
    node: str
    extras: Mapping[str, Any]
    columns: int  # of the sheet that fills while cells arrive

    @cached_property
    def links(self) -> dict[str, graph.Link]:
        """What a cell's node is connected to."""
        found = {name: graph.source(self.prompt, self.node, name, NAME) for name in ("model", "latent", "like")}
        return {name: link for name, link in found.items() if link is not None}

    def draw(self, drawing: Drawing, plan: SamplingPlan, guidance: float) -> list[str]:
        """Draws the missing cells; returns messages. Raises ValueError for cells that were given up."""
        nodes = graph.cut(self.prompt, list(self.links.values()))
        with remote(self.workers, nodes, NAME) as team:
            loras = sorted({line.file for place in drawing.places if (line := _active(place)) is not None})
            team.gather([CELL_NODE, *([LORA_NODE] if loras else [])], loras)
            run = _Run(self, team, drawing, plan, guidance)
            failures = team.run(drawing.missing, run.work, run.done, drawing.status)
        if failures:
            raise ValueError(given_up(failures, NAME))
        return team.notes


def grid_workers(workers: Workers | None, node: Any, extras: Mapping[str, Any], columns: int) -> GridWorkers | None:
    """The workers of the running Prompt Grid, whose class is `node`; None without any."""
    return None if workers is None else GridWorkers(workers, node.hidden.prompt, running_node_id(), extras, columns)


class _Run:
    """The cells of one grid on one team."""

    def __init__(self, grid: GridWorkers, team: Team, drawing: Drawing, plan: SamplingPlan, guidance: float):
        self.grid, self.team, self.drawing, self.plan, self.guidance = grid, team, drawing, plan, guidance
        self.files: dict[int, str] = {}  # by the stream's identity: prompts are shared by many cells
        variants = {id(place.variant): place.variant for place in drawing.places}
        self.machines = {key: digest(machine(variant.model)) for key, variant in variants.items()}
        self.page = Arriving(len(drawing.places), grid.columns)
        for number, latent in drawing.latents.items():
            self._show(number, latent)

    def work(self, cell: int) -> tuple[dict, dict]:
        """A cell's workflow, and its files."""
        place, links, nodes = self.drawing.places[cell], dict(self.grid.links), {}
        if (line := _active(place)) is not None:
            lora = {"model": links["model"], "lora_name": line.file, "strength_model": line.strength}
            nodes[LORA], links["model"] = {"class_type": LORA_NODE, "inputs": lora}, [LORA, 0]
        vec, txt = self._file("vec", place.vec), self._file("txt", place.txt)
        inputs = {
            **links, "vec_file": vec, "txt_file": txt, "guidance": self.guidance, "seed": place.seed,
            "steps": self.plan.steps, "sampler": self.plan.sampler, "scheduler": self.plan.scheduler,
        }  # fmt: skip
        nodes[CELL] = {"class_type": CELL_NODE, "inputs": inputs}
        return self.team.bring(nodes, vec, txt)

    def done(self, cell: int, result: dict) -> None:
        latent, facts = come_home(result)
        same = facts.pop("digest") == self.machines[id(self.drawing.places[cell].variant)]
        self.drawing.add_made(cell, latent, facts, same)
        self._show(cell, latent)

    def _show(self, cell: int, latent: Tensor) -> None:
        self.page.add(cell, self.drawing.places[cell].variant.model, latent)

    def _file(self, name: str, stream: Stream) -> str:
        if id(stream) not in self.files:
            spans = (replace(span, extras=_without(span.extras, self.grid.extras)) for span in stream.spans)
            self.files[id(stream)] = self.team.embedding(**{name: replace(stream, spans=tuple(spans))})
        return self.files[id(stream)]


def _active(place: Place) -> Any:
    """The cell's line of `loras`, if a LoRA acts."""
    line = place.variant.line
    return line if line is not None and line.is_active else None


def _without(extras: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt's own extras: those of `like` are added on the worker, where its nodes run."""
    return {key: value for key, value in extras.items() if key not in others}
