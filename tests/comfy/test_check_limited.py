"""A section of the check with limited memory; a CPU stands in for the device, whose memory is not limited by it."""

from types import SimpleNamespace

import comfy.model_management
import pytest

from flux_duet.check import times
from flux_duet.check.report import Equal
from flux_duet.check.sections import NotRun

FREE, WEIGHTS = 24e9, 10e9


def free(size: float):
    """ComfyUI's get_free_memory, with this result."""
    return lambda *_, torch_free_too=False: (size, size) if torch_free_too else size


@pytest.fixture
def kit(monkeypatch):
    """A kit with a transformer of WEIGHTS bytes, on a device with FREE bytes."""
    monkeypatch.setattr(times, "has_cuda", lambda: True)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", free(FREE))
    return SimpleNamespace(models=SimpleNamespace(flux=lambda: SimpleNamespace(model_size=lambda: WEIGHTS)))


def test_a_part_of_the_weights_fits_and_the_limit_ends_with_the_section(kit):
    before, seen = comfy.model_management.extra_reserved_memory(), []

    def run(given):
        seen.append(comfy.model_management.extra_reserved_memory())
        yield Equal("neutral", True)

    (row,) = times.limited(kit, run)
    assert (row.what, row.equal) == ("neutral, memory limited", True)
    assert FREE - seen[0] == times.LIMIT * WEIGHTS
    assert comfy.model_management.extra_reserved_memory() == before


def test_the_limit_ends_with_a_failure_too(kit):
    before = comfy.model_management.extra_reserved_memory()

    def fails(given):
        yield Equal("neutral", True)
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        list(times.limited(kit, fails))
    assert comfy.model_management.extra_reserved_memory() == before


def test_a_device_that_is_full_already_needs_no_limit(kit, monkeypatch):
    monkeypatch.setattr(comfy.model_management, "get_free_memory", free(WEIGHTS / 2))
    with pytest.raises(NotRun, match="too little free memory"):
        list(times.limited(kit, lambda given: iter(())))
