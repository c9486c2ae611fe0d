"""No probe fails a run: the error becomes its reading. What does not fit into memory is reported before a run, and
what had to be removed, after it."""

import contextlib
from functools import partial

import comfy.model_management
import comfy.sd
import pytest
import torch

import nodes
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe import reading_store
from flux_duet.nodes.probe.heat import accumulate, lse, recorder, watching
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.recorder import HeatRecorder
from flux_duet.nodes.probe.influence import effects
from flux_duet.nodes.probe.influence import recorder as influence_recorder
from flux_duet.nodes.probe.influence.nodes import Influence
from flux_duet.nodes.probe.reading_store import ReadingStore, Unread, allowed, size_of
from flux_duet.nodes.probe.reeval import Reevaluator
from flux_duet.tests.comfy import sampling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS = 2
LATENT = {"samples": torch.zeros(1, 16, 10, 6)}
OutOfMemory = comfy.model_management.OOM_EXCEPTION


@pytest.fixture(scope="module")
def txt(singles):
    with torch.inference_mode():
        return T5Encode.execute(singles[1], "a red circle")[0]


@pytest.fixture(scope="module")
def positive(singles, txt):
    with torch.inference_mode():
        return DualPrompt.execute(ClipEncode.execute(singles[0], "on paper")[0], txt, 3.5)[0]


sampled = partial(sampling.sampled, latent=LATENT, steps=STEPS)


def broken(*args, **kwargs):
    raise IndexError("index 9 is out of bounds")


def heatmap(model, txt, measure="mass"):
    return Heatmap.execute(model, txt, "red", measure).result


def influence(model, txt):
    return Influence.execute(model, "zeros", 1).result


HOOKS = {  # whatever a probe does of its own, anywhere in a run
    "the check": (heatmap, watching, "planned"),
    "the begin": (heatmap, HeatRecorder, "__init__"),
    "the options": (heatmap, HeatRecorder, "options"),
    "an evaluation": (heatmap, recorder, "places"),
    "a forward": (heatmap, HeatRecorder, "_begun"),
    "the search": (heatmap, accumulate.Chunk, "locate"),
    "an attention": (heatmap, accumulate.Forward, "note"),
    "the log-sum-exp": (heatmap, recorder, "lse_of"),
    "a forward's end": (heatmap, accumulate.Chunk, "result"),
    "an evaluation's end": (heatmap, HeatRecorder, "_keep"),
    "the reading": (heatmap, HeatRecorder, "reading"),
    "a block": (lambda model, txt: heatmap(model, txt, "flow"), recorder, "Flow"),
    "an output": (lambda model, txt: heatmap(model, txt, "output"), accumulate.Forward, "note_output"),
    "a measurement": (influence, influence_recorder, "effects"),
    "a look at a forward": (influence, Reevaluator, "_show"),
    "roles": (influence, Reevaluator, "_measured"),
    "another reading": (influence, influence_recorder.InfluenceRecorder, "reading"),
}
assert effects


@pytest.mark.parametrize("place", HOOKS)
def test_what_a_probe_cannot_read_becomes_its_reading(model, txt, positive, monkeypatch, caplog, place):
    plain = sampled(model, positive)["samples"]
    probe_of, owner, name = HOOKS[place]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, broken)
        ready, probe = probe_of(model, txt)
        before = repr(ready.model_options)
        latent = sampled(ready, positive)
    assert torch.equal(latent["samples"], plain)
    assert repr(ready.model_options) == before
    with pytest.raises(ValueError, match=f"{probe.name}|flux_duet_influence") as caught:
        probe.reading(latent)
    assert "could not be measured (IndexError: index 9 is out of bounds)" in str(caught.value)
    logged = [record.getMessage() for record in caplog.records if "could not be measured" in record.getMessage()]
    assert logged == [str(caught.value)], "a failure is logged once"
    latent = sampled(ready, positive, seed=6)  # and the next run works
    assert not isinstance(probe.reading(latent), Unread)


@pytest.mark.parametrize("place", HOOKS)
def test_running_out_of_memory_stays_that(model, txt, positive, monkeypatch, place):
    probe_of, owner, name = HOOKS[place]

    def full(*args, **kwargs):
        raise OutOfMemory("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(owner, name, full)
    ready, probe = probe_of(model, txt)
    with pytest.raises(OutOfMemory):
        sampled(ready, positive)
    assert not probe.runs


def test_a_kernel_that_runs_out_of_memory_says_so(monkeypatch):
    def full(*_):
        raise OutOfMemory("CUDA out of memory")

    monkeypatch.setattr(lse, "_on_cpu", full)
    import comfy.ldm.modules.attention as attention

    q = torch.randn(1, 2, 9, 8)
    with pytest.raises(OutOfMemory):
        lse.Attention()(attention.attention_pytorch, q, q, q, (2,), None, {"skip_reshape": True})


@pytest.mark.parametrize("probe_of", [heatmap, influence])
@pytest.mark.parametrize("error", [KeyError("the model's own"), comfy.model_management.InterruptProcessingException()])
def test_the_model_s_own_errors_pass(model, txt, positive, monkeypatch, probe_of, error):
    ready, probe = probe_of(model, txt)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(model.model.diffusion_model.single_blocks[0], "forward", fail)
    with pytest.raises(type(error)) as raised:
        sampled(ready, positive)
    assert raised.value is error and not probe.runs


def test_combined_areas_leave_the_picture_whole(model, txt, positive):
    """They once raised after the last step, and the picture was lost."""
    big = {"samples": torch.zeros(1, 16, 24, 24)}
    area = nodes.ConditioningSetArea().append(positive, 64, 96, 40, 24, 1.0)[0]
    both = nodes.ConditioningCombine().combine(area, positive)[0]
    ready, probe = heatmap(model, txt)
    made = [
        nodes.KSampler().sample(each, 5, STEPS, 1.0, "euler", "simple", both, both, big, 1.0)[0]
        for each in (model, ready)
    ]
    assert torch.equal(made[0]["samples"], made[1]["samples"])
    ShowHeatmap.execute(probe, made[1])


# ---- a latent with NaN


def test_a_latent_with_nan_is_named_as_that(model, txt, positive, monkeypatch):
    ready, probe = heatmap(model, txt)
    forward = model.model.diffusion_model._forward
    monkeypatch.setattr(model.model.diffusion_model, "_forward", lambda *args, **kwargs: forward(*args, **kwargs) / 0)
    latent = sampled(ready, positive)
    assert not latent["samples"].isfinite().all()
    latent["samples"][..., 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"Token Heatmap: \d+ of the 960 values of this LATENT are NaN"):
        ShowHeatmap.execute(probe, latent)


# ---- memory


def a_reading(size: int) -> dict:
    return {"maps": [torch.zeros(size, dtype=torch.uint8)]}


def test_readings_are_let_go_by_bytes_and_reported(monkeypatch):
    monkeypatch.setattr(reading_store, "free_memory", lambda: 0)
    monkeypatch.setattr(reading_store, "LEAST", 1000)
    monkeypatch.setattr(reading_store, "allowed", lambda free, kept: 1000)
    probe = ReadingStore("Token Heatmap")
    samples = [torch.full((1, 4), float(number)) for number in range(4)]
    for each, size in zip(samples, (300, 300, 400, 900), strict=True):
        probe.keep(each, a_reading(size))
        kept = [size_of(reading) for _, reading in probe.runs.values()]
        assert sum(kept) <= 1000 and kept[-1] == size
    assert len(probe.runs) == 1
    with pytest.raises(ValueError, match="the reading of this LATENT was removed to keep within 0 MB"):
        probe.reading({"samples": samples[0]})
    with pytest.raises(ValueError, match="was removed"):
        probe.reading({"samples": samples[1].half()})
    with pytest.raises(ValueError, match="does not come from a run"):
        probe.reading({"samples": torch.ones(1, 5)})
    probe.keep(torch.full((1, 4), 9.0), a_reading(5000))
    assert size_of(probe.reading({"samples": torch.full((1, 4), 9.0)})) == 5000, "the newest always stays"


def test_room_is_a_part_of_what_is_free():
    assert allowed(8 * 10**9, 4 * 10**9) == 3 * 10**9
    assert allowed(0, 0) == reading_store.LEAST
    assert reading_store.free_memory() > 0
    nested = Unread("x"), {"a": (torch.zeros(3), [torch.zeros(2, dtype=torch.half)])}
    assert size_of(nested) == 16


def test_maps_that_do_not_fit_are_told_before_the_run(model, txt, positive, monkeypatch):
    """And maps that just fit have the predicted size."""
    ready, probe = Heatmap.execute(model, txt, "red, circle", heads=True).result
    monkeypatch.setattr(reading_store.ReadingStore, "room", lambda self: 10**9)
    heads = model.model.diffusion_model.params.num_heads
    reading = probe.reading(sampled(ready, positive))
    assert reading.bytes() == 2 * STEPS * 5 * heads * 15 * 4
    for room, context in ((reading.bytes(), contextlib.nullcontext()), (reading.bytes() - 1, None)):
        monkeypatch.setattr(reading_store.ReadingStore, "room", lambda self, room=room: room)
        calls = []
        monkeypatch.setattr(
            watching, "HeatRecorder", lambda *a, calls=calls, **k: calls.append(1) or HeatRecorder(*a, **k)
        )
        with context or pytest.raises(ValueError, match="2 words x 2 steps x 5 blocks x 15 tokens.*Name fewer words"):
            sampled(ready, positive)
        assert bool(calls) == (context is not None), "before anything of the run"
