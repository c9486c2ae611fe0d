"""A run with a modulation table has the same latent, bit for bit, and says what the table did."""

import comfy.samplers
import pytest
import torch

from flux_duet.nodes.sample import apply
from flux_duet.nodes.sample.nodes import MMDiTSampler, ModulationTable
from flux_duet.nodes.sample.table import run
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS = 4
EMPTY = {"samples": torch.zeros(1, 16, 8, 8)}


def conditioning(seed: int, length: int = 20, **extras) -> list:
    return [[randn(seed, 1, length, 64), {"pooled_output": randn(seed + 1, 1, 64), "guidance": 3.5, **extras}]]


POSITIVE, NEGATIVE = conditioning(1), conditioning(5, length=33)


@pytest.fixture
def reports(monkeypatch):
    """The reports of all runs with a table."""
    found, own = [], run.Table

    def kept(*args):
        table = own(*args)
        found.append(table.report)
        return table

    monkeypatch.setattr(run, "Table", kept)
    return found


def assert_same(model, *given, **options):
    plain = sampling.sampled(model, *given, **options)["samples"]
    tabled = sampling.sampled(ModulationTable.execute(model)[0], *given, **options)["samples"]
    assert torch.equal(plain, tabled)
    assert plain.isfinite().all()


@pytest.mark.parametrize("sampler", comfy.samplers.KSampler.SAMPLERS)
def test_samplers(model, reports, sampler):
    assert_same(model, POSITIVE, latent=EMPTY, steps=STEPS, sampler=sampler)
    print(sampler, reports[0].sentence())
