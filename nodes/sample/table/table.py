"""The outputs of all modulation layers for the steps of one run, and when they replace the layers. Imports ComfyUI.

Modulation depends on vec alone, and vec on the time, the guidance and the CLIP vector (BFL's flux/model.py). So these
layers, 27 % of FLUX.1's weights, are needed at one step of a run; the others read 2 MiB of a table. A row is computed
by the model's own layers in the run's own batch, so it is equal to the last bit. What is not in the table is left to
the layers.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from ...compat import modulation as core
from ...compat.memory import is_out_of_memory
from ...compat.sampling import timesteps_in
from ...condition.blocks import Depth
from ...keys import REPLACE, SAMPLE_SIGMAS
from .call import Call
from .report import HOOKS, MEMORY, MOVING, NOT_OWN, OTHERS, UNKNOWN, Report

MOST_BYTES = 256 * 2**20  # of a prompt's rows at a time; a longer run fills its table again on the way

Outputs = dict[str, Tensor]  # of one row: what each linear layer gives, by its name


@dataclass
class Prompt:
    """A prompt in a batch: the time of its first evaluation, and its rows by their time."""

    first: bytes
    rows: dict[bytes, Outputs] = field(default_factory=dict)


class Table:
    """The table of one run of a MODEL, whose layers stay `offloaded` or not. `serving` is used around every forward."""

    def __init__(self, model, offloaded: bool = False):
        self.model, self.offloaded = model, offloaded
        self.report = Report()
        self._out_of_memory = False
        self._first: bytes | None = None  # the time of the run's first forward
        self._times: list[float] = []  # of all steps
        self._prompts: dict[Hashable, Prompt] = {}
        self._used = 0  # layers that the table stood in for, in this forward

    @contextmanager
    def serving(self, base, call: Call, options: Mapping[str, Any]) -> Iterator[None]:
        """For the time of a `with`, the layers of `call`'s model give what is in the table.

        `base` is the BaseModel that runs, `options` are its transformer_options. The layers of blocks that another pack
        replaces, and those that are given another batch (Kontext's doubled vec), compute their outputs themselves.
        """
        row = self._row(base, call, options)
        depth, replaced = Depth.of(call.flux), options.get(REPLACE, {}).get("dit", {})
        forwards, self._used = {}, 0
        for layer in core.layers(call.flux):
            own = partial(self._own, layer, layer.lin.forward) if self.offloaded else layer.lin.forward
            if not isinstance(row, str) and depth.key(layer.block) not in replaced:
                forwards[layer.lin] = partial(self._given, row[layer.name], own)
            elif self.offloaded:
                forwards[layer.lin] = own
        with core.forwards(forwards):
            yield
        if self._used:
            self.report.served += 1
        else:
            self.report.own[row if isinstance(row, str) else OTHERS] += 1

    def _given(self, output: Tensor, own: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """In place of a linear layer's forward: its output in the table, unless it is given another batch."""
        if given.shape[:-1] != output.shape[:-1]:
            return own(given)
        self._used += 1
        return output

    def _own(self, layer: core.Layer, own: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """An offloaded layer's own forward, with the weights that it has when it is loaded."""
        with core.weights_on(given.device, self.model, layer):
            return own(given)

    def _row(self, base, call: Call, options: Mapping[str, Any]) -> Outputs | str:
        """The row for a forward, or why there is none."""
        if core.has_hooks(base):
            return HOOKS
        if not core.is_own(call.flux):
            return NOT_OWN
        key = call.key()
        if self._first is None:
            self._first, self._times = key.time, timesteps_in(base, options.get(SAMPLE_SIGMAS))
        prompt = self._prompts.setdefault(key.prompt, Prompt(key.time))
        if key.time not in prompt.rows:
            # A prompt that fades into another is a new one at every step: it is worth its rows once it has come twice.
            if key.time == prompt.first != self._first:
                return MOVING
            now = memoryview(key.time).cast("f")[0]
            if now not in self._times:
                return UNKNOWN
            if self._out_of_memory or not self._fill(prompt, call, now):
                return MEMORY
        return prompt.rows[key.time]

    def _fill(self, prompt: Prompt, call: Call, now: float) -> bool:
        """Computes a prompt's rows from a time on, as many as fit; False if the device has no memory for them."""
        started, layers = time.perf_counter(), core.layers(call.flux)
        row_bytes = len(call.timestep) * sum(each.lin.out_features for each in layers) * call.x.element_size()
        times = [each for each in self._times if each <= now][: max(1, MOST_BYTES // row_bytes)]
        try:
            rows = _rows(call, self.model, layers, times)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._out_of_memory = True
            return False
        prompt.rows = {array("f", [at] * len(call.timestep)).tobytes(): row for at, row in rows.items()}
        weights = sum(core.bytes_of(each.lin) for each in layers), core.bytes_of(call.flux)
        self.report.note(*weights, len(times), len(times) * row_bytes, time.perf_counter() - started)
        return True


def _rows(call: Call, model, layers: list[core.Layer], times: list[float]) -> dict[float, Outputs]:
    """What each layer gives at these times. Each layer's weights are moved to the device once for all of them."""
    vecs = {at: call.vecs(at) for at in times}
    rows: dict[float, Outputs] = {at: {} for at in times}
    for layer in layers:
        with core.weights_on(call.x.device, model, layer):
            for at, by_block in vecs.items():
                rows[at][layer.name] = core.output_of(layer, by_block.get(layer.block, by_block[-1]))
    return rows
