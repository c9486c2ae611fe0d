"""A run with a modulation table, from its start, where layers may stay offloaded, to its report. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from ...compat import guiders, modulation
from ...compat.flux_model import transformer_of
from ...compat.offloading import can_keep_offloaded, keeping_offloaded
from ...compat.patches import attached
from ...keys import HOOKS as COND_HOOKS
from ...keys import OPTIONS
from ...notice import say
from .report import DEVICES, HOOKS, NOT_OWN
from .table import Table

KEY = "flux_duet_table"  # attached to a MODEL that is to have a table, and in transformer_options the run's Table


@contextmanager
def table_of(guider, notes: str) -> Iterator[Table | None]:
    """The table for a guider's run, if its MODEL is to have one; reports what it did after `notes`, the run's warnings.

    Where weights have two places, the run gets a clone of the MODEL that leaves the modulation layers offloaded.
    """
    model = guiders.model_of(guider)
    if not attached(model, KEY):
        yield None
        return
    table = Table(model, can_keep_offloaded(model))
    if reason := _obstacle(guider, model):
        table.report.own[reason] += 1
        yield None
    else:
        with _offloaded(guider, model) if table.offloaded else nullcontext():
            yield table
    if sentence := table.report.sentence():
        say(sentence, notes)


def _obstacle(guider, model) -> str | None:
    """Why a run cannot have a table at all."""
    options, flux = guiders.options_of(guider), transformer_of(model)
    if modulation.on_many_devices(options):
        return DEVICES
    if modulation.is_compiled(options.get(OPTIONS, {})) or not modulation.is_own(flux):
        return NOT_OWN
    if any(COND_HOOKS in entry for cond in guiders.conds_of(guider).values() for entry in cond or ()):
        return HOOKS
    return None


@contextmanager
def _offloaded(guider, model) -> Iterator[None]:
    layers = modulation.layers(transformer_of(model))
    guiders.set_model(guider, keeping_offloaded(model, [each.lin for each in layers]))
    try:
        yield
    finally:
        guiders.set_model(guider, model)
