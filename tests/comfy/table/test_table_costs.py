"""What a table saves and costs, counted: weights read in a step, numbers read from a device, tensors moved."""

import contextlib
from dataclasses import replace

import comfy.sd
import pytest
import torch
from comfy.ldm.flux.model import Flux
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from flux_duet.bench.table import FULL, Reads, each_step
from flux_duet.nano.layouts import Shape
from flux_duet.nodes.compat import modulation
from flux_duet.nodes.probe.grid.identity import of_model
from flux_duet.nodes.sample.nodes import ModulationTable
from flux_duet.nodes.sample.table import run
from flux_duet.nodes.sample.table.call import Call
from flux_duet.nodes.sample.table.table import Table
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.table.runs import EMPTY, POSITIVE
from flux_duet.tests.comfy.test_gpu_waits import CUDA, Waits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_flux1_at_its_full_size():
    """27 % of its weights: 6.01 of 22.2 GiB in bf16; a row is 2 MiB."""
    flux = Flux(device="meta", dtype=torch.bfloat16, operations=comfy.ops.disable_weight_init, **FULL)
    layers = modulation.layers(flux)
    ours, everything = sum(modulation.bytes_of(each.lin) for each in layers), modulation.bytes_of(flux)
    assert len(layers) == 2 * 19 + 38
    assert (round(ours / 2**30, 2), round(everything / 2**30, 1)) == (6.01, 22.2)
    assert round(2 * sum(each.lin.out_features for each in layers) / 2**20, 1) == 2.0


def test_weights_read_in_a_step(save_models):
    """From the second step on the layers' weights are not read at all, all others are."""
    flux = comfy.sd.load_diffusion_model(str(save_models(Shape(double=2, single=4))["flux"]))
    transformer = flux.model.diffusion_model
    everything = sum(each.nbytes for each in transformer.parameters())
    layers = sum(modulation.bytes_of(each.lin) for each in modulation.layers(transformer))
    for model, later in ((flux, everything), (ModulationTable.execute(flux)[0], everything - layers)):
        with Reads(transformer) as reads:
            assert each_step(model, 16, 4, POSITIVE, reads.taken) == [everything, later, later, later]


class Operations(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_a_served_layer_does_nothing(model, monkeypatch):
    """No operation, so that no GPU waits; what finds the row is read once for a forward."""
    tables, keys, own = [], [], Call.key
    monkeypatch.setattr(run, "Table", lambda *args: tables.append(Table(*args)) or tables[-1])
    monkeypatch.setattr(Call, "key", lambda self: keys.append((self, own(self))) or keys[-1][1])
    sampling.sampled(ModulationTable.execute(model)[0], POSITIVE, latent=EMPTY, steps=4)
    (table,), (call, _) = tables, keys[-1]
    assert len(keys) == 4
    layers, given = modulation.layers(call.flux), torch.zeros(1, 1, call.flux.hidden_size)
    with table.serving(model.model, call, {}), Operations() as operations:
        for layer in layers:
            assert layer.lin(given).shape[-1] == layer.lin.out_features
        assert operations.found == []
        given.add(1)
        assert operations.found == ["add"]
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = {name: torch.empty(3, device=CUDA) for name in ("x", "timestep", "y", "guidance")}
        with Waits() as waits, contextlib.suppress(RuntimeError, TypeError):  # fake numbers cannot be read
            own(replace(call, **there))
    assert waits.found in (["to"], ["_to_copy"]), "one move to main memory"


def test_caches_know_the_model_as_the_same(model):
    """Prompt Grid's cells are found, whether they were made with a table or without."""
    assert of_model(model) is not None
    assert of_model(ModulationTable.execute(model)[0]) == of_model(model)
