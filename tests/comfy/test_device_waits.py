"""How often a GPU waits for a whole run of the sampler, by the file that makes it wait: exact counts for each step.

The model is on a stand-in for a GPU (standin.py). A step's waits are the difference of two runs; if it is the same with
more blocks, no block waits. ComfyUI itself moves a prompt's tensors to the device at every step; that is not counted.
"""

from collections import Counter

import comfy.sd
import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch

from flux_duet.nano import layouts
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun, Schedule
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.nodes.probe.influence.nodes import Influence
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.sample.nodes import ModulationTable
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import txt
from flux_duet.tests.comfy.place.runs import CLIP_A, CLIP_B, LATENT, SIDE, A, B, prompt
from flux_duet.tests.comfy.standin import ELSEWHERE, on_device

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

SOFT = torch.linspace(0, 1, 31)[None, :, None].expand(1, 31, 17)
MASK = {**LATENT, "noise_mask": SOFT[:, :SIDE, :SIDE]}
APPLY = {"sample/apply.py": 1}  # the moment's sigma is read once
TABLE = {"sample/table/call.py": 1}  # what the row is found by is read once
HEAT = {**APPLY, "probe/heat/recorder.py": 1, "probe/heat/known.py": 1, "probe/heat/accumulate.py": 2}
# Two evaluations a step, one of them with all variants of the prompt.
INFLUENCE = {"sample/apply.py": 2, "probe/reeval.py": 1}


def region(base):
    return Region.execute(base, B, SOFT, base_ratio=0.3)[0]


def schedule():
    texts = {"vec1": CLIP_A, "vec2": CLIP_B}, {"txt1": A, "txt2": region(B)}
    return Schedule.execute(*texts, "1\n@1 2", "1\n@1 2", 3.5)[0]


def limited():
    return PartOfRun.execute(prompt(), "0", "50%")[0]


def watched(model, t5, measure: str, **options) -> tuple:
    return Heatmap.execute(model, t5, "circle, night", measure, **options)[0], prompt(region(t5))


# (model, an encoded T5 prompt) -> (model, positive, *negative and cfg, **latent); and the waits at each step.
RUNS = {
    "no controls": (lambda model, t5: (model, prompt()), {}),
    "weights": (lambda model, t5: (model, prompt(txt(3, 9, bias=torch.linspace(-1, 1, 9)[None]))), APPLY),
    "a region": (lambda model, t5: (model, prompt(region(A))), APPLY),
    "regions in both prompts": (lambda model, t5: (model, prompt(region(A)), prompt(region(B)), 3.0), APPLY),
    "a negative": (lambda model, t5: (model, prompt(NegativeTxt.execute(region(A), B, 3.0)[0])), APPLY),
    "other blocks": (lambda model, t5: (model, Route.execute(prompt(), prompt(B, CLIP_B), "0-1", "1-2")[0]), APPLY),
    "a schedule": (lambda model, t5: (model, schedule()), APPLY),
    "a part of the run": (lambda model, t5: (model, prompt(), limited(), 3.0), APPLY),
    "heatmap, mass": (lambda model, t5: watched(model, t5, "mass"), HEAT),
    "heatmap, flow": (lambda model, t5: watched(model, t5, "flow"), HEAT),
    "heatmap, output": (lambda model, t5: watched(model, t5, "output"), HEAT),
    "a table": (lambda model, t5: (ModulationTable.execute(model)[0], prompt()), TABLE),
    "a table, a region": (lambda model, t5: (ModulationTable.execute(model)[0], prompt(region(A))), {**APPLY, **TABLE}),
    "influence": (lambda model, t5: (Influence.execute(model, "zeros", 1)[0], prompt(region(A))), INFLUENCE),
}


@pytest.fixture(scope="module")
def models(save_models):
    """Two models that differ in their number of blocks alone."""
    shapes = layouts.Shape(double=1, single=2), layouts.Shape(double=3, single=4)
    return [comfy.sd.load_diffusion_model(str(save_models(shape)["flux"])) for shape in shapes]


def a_step(waits) -> dict[str, int]:
    """`waits(steps)` -> the waits of one step more, after the first steps, in which plans are made."""
    few, many = waits(4), waits(6)
    found = {name: (many[name] - few[name]) / 2 for name in {*few, *many} - {ELSEWHERE, None}}
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("run", RUNS)
def test_a_step_waits_so_often_and_a_block_never(models, singles, monkeypatch, run):
    made, expected = RUNS[run]
    t5 = T5Encode.execute(singles[1], "a red circle at night")[0]

    def waits(model, steps: int) -> Counter:
        ready, *prompts = made(model, t5)
        with on_device(ready, monkeypatch) as device:
            sampling.sampled(ready, *prompts, latent=LATENT, steps=steps)
        return device.waits

    for model in models:
        assert a_step(lambda steps, model=model: waits(model, steps)) == expected


@pytest.mark.parametrize("kind", ["batch", "mask"])
def test_a_batch_and_a_mask_wait_no_more(models, monkeypatch, kind):
    latent = MASK if kind == "mask" else {"samples": torch.zeros(2, 16, SIDE, SIDE)}

    def waits(steps: int) -> Counter:
        with on_device(models[0], monkeypatch) as device:
            sampling.sampled(models[0], prompt(region(A)), latent=latent, steps=steps)
        return device.waits

    assert a_step(waits) == APPLY


def test_words_are_measured_at_some_steps_alone(models, singles, monkeypatch):
    """The prompt has no controls: the steps that are not measured read sigma once."""

    def waits(steps: int) -> Counter:
        with on_device(models[0], monkeypatch) as device:
            WordAblation.execute(models[0], *singles, "at night", "a red circle", LATENT, 3.5, 0, steps, "euler",
                                 "simple", "1", "red")  # fmt: skip
        return device.waits

    assert a_step(waits) == {"probe/reeval.py": 1}


def test_a_sweep_waits_once_for_each_evaluation(models, monkeypatch):
    """Run A has one evaluation a step, and all runs that have switched have one more (at most 8 rows).

    A step adds a row, and the region's plan is made for a number of rows: 6 tensors.
    """

    def waits(steps: int) -> Counter:
        with on_device(models[0], monkeypatch) as device:
            SwitchSweep.execute(models[0], prompt(region(A)), prompt(region(B)), "both", LATENT, 0, steps, "euler",
                                "simple", 1, 8)  # fmt: skip
        return device.waits

    assert a_step(waits) == {"sample/apply.py": 2, "sample/attention_groups.py": 6}


@pytest.mark.parametrize(("measure", "times"), [("mass", 1), ("flow", 1), ("output", 2)])
def test_the_maps_of_all_heads_leave_the_device_in_each_block(save_models, singles, monkeypatch, measure, times):
    """They may be too large for its memory. The mean over heads stays on the device until the forward ends."""
    shape = layouts.Shape(double=1, single=2, hidden=256)
    model = comfy.sd.load_diffusion_model(str(save_models(shape)["flux"]))
    t5 = T5Encode.execute(singles[1], "a red circle at night")[0]

    def waits(steps: int) -> Counter:
        ready, _ = Heatmap.execute(model, t5, "circle, night", measure, 1, True).result
        with on_device(ready, monkeypatch) as device:
            sampling.sampled(ready, prompt(t5), latent=LATENT, steps=steps)
        return device.waits

    blocks, unplaced = shape.double + shape.single, {key: HEAT[key] for key in HEAT if key not in APPLY}
    assert a_step(waits) == {**unplaced, "probe/heat/accumulate.py": times * blocks + 1}


def test_the_stand_in_samples_the_same_picture(models, monkeypatch):
    """Up to the attention function, which ComfyUI chooses by the device."""
    monkeypatch.setattr("comfy.ldm.flux.math.optimized_attention", attention_pytorch)
    positive = prompt(region(A))
    expected = sampling.sampled(models[1], positive, latent=LATENT, steps=2)["samples"]
    with on_device(models[1], monkeypatch):
        found = sampling.sampled(models[1], positive, latent=LATENT, steps=2)["samples"]
    assert torch.allclose(found, expected, atol=1e-4)
