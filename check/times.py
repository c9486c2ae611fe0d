"""What does each part of the pack cost in a sampling step, in time and in peak device memory? Needs ComfyUI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import comfy.model_management
import torch

import nodes

from ..bench.controls import ROWS
from ..bench.controls import Row as Control
from ..bench.measure import SIDES, Comparison, rounds, size
from ..nodes.probe.heat.choices import FLOW, MASS, OUTPUT
from ..nodes.probe.heat.nodes import Heatmap
from ..nodes.probe.influence.nodes import Influence
from ..nodes.sample.nodes import MMDiTSampler, ModulationTable
from .equal import compared
from .kit import SEED, Kit, has_cuda
from .report import Cost, Row
from .reserve import reserved
from .sections import NotRun, Section

TABLE_STEPS = 4
INFLUENCE_EVALUATIONS = 5  # of the model at a measured step, at most
LIMITED = ", memory limited"
LIMIT = 0.6  # the share of the transformer's weights that fits into the memory when it is limited

Call = Callable[[], torch.Tensor]


# ---- measuring


def measured(kit: Kit, what: str, native: Call, ours: Call, same: bool = True) -> Iterator[Row]:
    """Both sides in alternation, after a first run of each, whose results must be equal if `same`, else differ."""
    calls = dict(zip(SIDES, (native, ours), strict=True))
    first = {side: call() for side, call in calls.items()}
    equal = compared(f"sample, {what}", *first.values())
    if same:
        yield equal
    elif equal.equal:
        raise ValueError(f"{what}: the latents with and without it are equal, so it did not act")
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    peaks: dict[str, list[float]] = {side: [] for side in SIDES}
    for _, side in rounds(kit.rounds):
        taken, peak = timed(calls[side])
        seconds[side].append(taken / kit.steps)
        peaks[side].append(peak)
    yield Cost(Comparison(what, **seconds), Comparison(what, **peaks, as_text=size) if has_cuda() else None)


def timed(call: Call) -> tuple[float, float]:
    """Seconds, and the peak of the device's memory in bytes; 0 on a CPU."""
    cuda = has_cuda()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    call()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started, torch.cuda.max_memory_allocated() if cuda else 0.0


def ksampler(kit: Kit, positive: list) -> torch.Tensor:
    plan = SEED, kit.steps, 1.0, "euler", "simple"
    return nodes.KSampler().sample(kit.models.flux(), *plan, positive, positive, kit.latent())[0]["samples"]


def ours(kit: Kit, model, positive: list, **guided) -> torch.Tensor:
    plan = {"seed": SEED, "steps": kit.steps, "sampler": "euler", "scheduler": "simple", **guided}
    return MMDiTSampler.execute(model, positive, kit.latent(), **plan)[0]["samples"]


# ---- what is measured


def neutral(kit: Kit, what: str = "KSampler and MMDiT Sampler") -> Iterator[Row]:
    flux, positive = kit.models.flux(), kit.positive
    yield from measured(kit, what, lambda: ksampler(kit, positive), lambda: ours(kit, flux, positive))


def with_model(kit: Kit, what: str, change: Callable) -> Iterator[Row]:
    """MMDiT Sampler with the plain MODEL and with the one that a node makes of it; the picture must stay the same."""
    flux, positive = kit.models.flux(), kit.positive
    changed = change(kit, flux)
    yield from measured(kit, what, lambda: ours(kit, flux, positive), lambda: ours(kit, changed, positive))


def watched(kit: Kit, flux, measure: str):
    return Heatmap.execute(flux, kit.words, "", measure)[0]


def influenced(kit: Kit, flux):
    return Influence.execute(flux, empty_vec=kit.prompts.vec(3), empty_txt=kit.prompts.txt(3))[0]


def tabled(kit: Kit, flux):
    return ModulationTable.execute(flux)[0]


def table(kit: Kit) -> Iterator[Row]:
    """The first step fills the table, so the run is long enough to show the later ones."""
    longer = replace(kit, steps=max(kit.steps, TABLE_STEPS))
    yield from with_model(longer, f"Modulation Table, runs of {longer.steps} steps", tabled)


def controlled(kit: Kit, row: Control) -> Iterator[Row]:
    """MMDiT Sampler with the plain prompt, as long as the row says, and with the prompt that has a control."""
    flux, made = kit.models.flux(), kit.prompts
    plain, with_control = made.plain(row.texts), row.ours(made)
    guided = {} if row.cfg == 1 else {"negative": kit.negative, "cfg": row.cfg}
    both = measured(
        kit, row.name, lambda: ours(kit, flux, plain), lambda: ours(kit, flux, with_control, **guided), same=False
    )
    for found in both:
        if isinstance(found, Cost):
            computed = kit.computed(with_control) / kit.computed(plain) * (1 if row.cfg == 1 else 2)
            found = Cost(found.time, found.memory, computed)
        yield found


def limited(kit: Kit, run: Callable[[Kit], Iterator[Row]]) -> Iterator[Row]:
    """Another section, with so much memory reserved that a part of the transformer stays in main memory."""
    if not has_cuda():
        raise NotRun("memory is limited on a CUDA device alone")
    device = comfy.model_management.get_torch_device()
    flux = kit.models.flux()
    comfy.model_management.unload_all_models()
    room = comfy.model_management.get_free_memory(device) - LIMIT * flux.model_size()
    if room <= 0:
        raise NotRun("the device has too little free memory to hold the whole transformer even without a limit")
    try:
        with reserved(int(room)):
            yield from (row.renamed(f"{row.what}{LIMITED}") for row in run(kit))
    finally:
        comfy.model_management.unload_all_models()


# ---- sections


def timing(name: str, title: str, run: Callable[[Kit], Iterator[Row]], factor: float = 1.0) -> Section:
    """A section whose side with the pack takes `factor` times the plain side's time."""
    return Section(name, title, run, lambda kit: kit.expected((kit.rounds + 1) * kit.steps * (1 + factor)))


def probe_sections() -> list[Section]:
    heat = [
        timing(f"heatmap.{measure}", what := f"Token Heatmap, {measure}",
               partial(with_model, what=what, change=partial(watched, measure=measure)), 1.2)
        for measure in (MASS, FLOW, OUTPUT)
    ]  # fmt: skip
    influence = partial(with_model, what="Encoder Influence", change=influenced)
    return [*heat, timing("influence", "Encoder Influence", influence, INFLUENCE_EVALUATIONS)]


def sections() -> list[Section]:
    return [
        timing("neutral", "a step, KSampler and MMDiT Sampler", neutral),
        *probe_sections(),
        timing("table", "Modulation Table on and off", table, TABLE_STEPS - 1),
        *(timing(f"control.{row.key}", row.name, partial(controlled, row=row), 2) for row in ROWS),
    ]


def limited_sections() -> list[Section]:
    return [
        Section(f"limited.{each.name}", f"{each.title}{LIMITED}", partial(limited, run=each.run), _slower(each))
        for each in sections()
    ]


def _slower(section: Section) -> Callable[[Kit], float]:
    return lambda kit: 2 * section.expected(kit)
