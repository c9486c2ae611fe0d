"""Trigger Test: on the nano LoRAs, whose answer is known, and on small models against native runs."""

import json

import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

from flux_duet.nano import layouts
from flux_duet.nano.lora import FOLDER, WORD
from flux_duet.nano.pipeline import MODELS, Pipeline
from flux_duet.nodes.lora.load import as_file, read
from flux_duet.nodes.probe.parts.measure import measure as parts_of
from flux_duet.nodes.probe.trigger import measure as measuring
from flux_duet.nodes.probe.trigger.effects import BOTH, CLIP, FLOOR, NEITHER, PLACES, T5, interaction, lora_at
from flux_duet.nodes.probe.trigger.measure import Question, measure
from flux_duet.nodes.probe.trigger.nodes import TriggerTest
from flux_duet.nodes.probe.trigger.reading import ALWAYS, SLEEPS, sentence
from flux_duet.nodes.probe.with_lora import Subject
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.lora.files import Maker
from flux_duet.tests.comfy.matrix import probes
from flux_duet.tests.comfy.matrix.graph import LATENT, SEED, STEPS, Graph, natively

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

NANO_PLAN = SamplingPlan(1, 8, "euler", "simple")
NANO_LATENT = {"samples": torch.zeros(1, 16, 16, 16)}
PLAN = SamplingPlan(SEED, STEPS, "euler", "simple")
ASKED = Question("at night", "a red circle", "snowy")


@pytest.fixture(scope="module")
def nano():
    with torch.inference_mode():
        return Pipeline()


def of_nano(nano, name: str) -> Subject:
    file = read(MODELS / FOLDER / f"{name}.safetensors")
    return Subject("Trigger Test", file, 1.0, nano.flux, nano.clip_l, nano.t5, 3.5, "ComfyUI", None)


def subject(weights, model, clip, t5) -> Subject:
    return Subject("Trigger Test", as_file("x.safetensors", weights), 1.0, model, clip, t5, 3.5, "ComfyUI", None)


@pytest.mark.parametrize("prompts", [("at night", "a big yellow star"), ("in the snow", f"{WORD}, a blue heart")])
@pytest.mark.parametrize("name", ["nano_trigger", "nano_always"])
def test_the_nano_loras_are_told_apart(name, prompts, nano):
    """One sleeps without its word, and only the T5 prompt wakes it; the other is always on."""
    found, _ = measure(of_nano(nano, name), Question(*prompts, WORD), NANO_LATENT, NANO_PLAN, [1, 2, 3], 3, False)
    told = sentence(found)
    if name == "nano_always":
        assert found.verdict == ALWAYS and "is not its trigger" in told
    else:
        assert found.verdict == SLEEPS and found.through == {CLIP: False, T5: True}
        assert "The word activates it in the T5 prompt" in told and "but not in the CLIP prompt" in told
        assert found.size(interaction(T5)).value > 5 * found.size(interaction(CLIP)).value
    assert "Not certain" not in told and found.size(FLOOR).value == 0


def test_a_word_that_is_no_trigger(nano):
    found, _ = measure(of_nano(nano, "nano_trigger"), Question("at night", "a star", "octopus"), NANO_LATENT, NANO_PLAN,
                       [1], 2, False)  # fmt: skip
    assert found.verdict != SLEEPS


@pytest.mark.parametrize(
    ("name", "lead"), [("nano_trigger", ("t5_stream", "image")), ("nano_always", ("clip_stream",))]
)
def test_the_nano_loras_act_through_the_layers_that_were_trained(name, lead, nano):
    """LoRA Influence: double block 1 without its modulation; the modulation alone."""
    given = of_nano(nano, name)
    found, _ = parts_of(given, "at night", f"{WORD}, a big yellow star", NANO_LATENT, NANO_PLAN, 3)
    assert found.parts == lead and sum(found.whole.shares) == pytest.approx(1, abs=1e-4)
    assert found.whole.shares[0] > 0.75


def test_velocities_are_native_runs_bit_for_bit(model, dual, monkeypatch):
    """All eight, with the encoders' LoRA, on the x_t of the native run with neither; and the eight pictures."""
    maker, kept, keep = Maker(model), [], measuring.squares
    weights = {**maker.kohya(["single_blocks.0.linear1"]), **maker.encoders()}
    monkeypatch.setattr(measuring, "squares", lambda values, again: (
        kept.append((values, again)), keep(values, again))[-1])  # fmt: skip
    found, latents = measure(subject(weights, model, dual, dual), ASKED, LATENT, PLAN, [SEED], STEPS, True)
    patched = comfy.sd.load_lora_for_models(model, dual, weights, 1.0, 1.0)
    graphs = {}
    for on, (its_model, its_clip) in {False: (model, dual), True: patched}.items():
        for place, texts in found.texts.items():
            prompt = native.encode(its_clip, *texts)
            graphs[on, place] = Graph(its_model, prompt, prompt)
    seen = probes.seen_by(graphs[False, NEITHER])
    for number, (cell, graph) in enumerate(graphs.items()):
        for at, velocity in enumerate(probes.velocities(graph, seen, None)):
            assert torch.equal(kept[at][0][cell], velocity), (cell, at)
        assert torch.equal(latents[number : number + 1], natively(graph)), cell
    assert all(torch.equal(again, values[False, NEITHER]) for values, again in kept)
    assert found.runs == 8 and found.evaluations == 9 * STEPS


def test_where_the_word_is():
    texts = Question("at night", "a snowy plain", "snowy", "rocky").texts()
    assert texts == {
        NEITHER: ("at night", "a rocky plain"), CLIP: ("snowy, at night", "a rocky plain"),
        T5: ("at night", "a snowy plain"), BOTH: ("snowy, at night", "a snowy plain"),
    }  # fmt: skip


def test_a_lora_on_the_modulation_is_always_on(model, singles):
    """It reads no text, and the word of random encoders changes little."""
    weights = Maker(model).kohya([f"single_blocks.{block}.modulation.lin" for block in range(3)])
    weights = {name: 10 * each if name.endswith("up.weight") else each for name, each in weights.items()}
    found, latents = measure(subject(weights, model, *singles), ASKED, LATENT, PLAN, [1, 2, 3], 2, False)
    assert found.verdict == ALWAYS and latents is None
    assert found.size(lora_at(NEITHER)).interval is not None


def test_weights_afterwards(model, singles):
    before = {name: each.clone() for name, each in model.model.state_dict().items()}
    measure(subject(Maker(model).kohya(), model, *singles), ASKED, LATENT, PLAN, [1], 1, True)
    assert all(torch.equal(each, before[name]) for name, each in model.model.state_dict().items())


def test_a_mask(model, singles):
    mask = torch.zeros(1, 1, 12, 12)
    mask[..., :3] = 1
    found, _ = measure(subject(Maker(model).kohya(), model, *singles), ASKED, {**LATENT, "noise_mask": mask}, PLAN, [1],
                       1, False)  # fmt: skip
    assert found.repainted == pytest.approx(0.25) and "repainted 25 %" in sentence(found)


def test_refusals(model, singles):
    with pytest.raises(ValueError, match="`trigger` is empty"):
        Question("a", "b", " ")
    with pytest.raises(ValueError, match="a LATENT with 2 pictures"):
        measure(subject(Maker(model).kohya(), model, *singles), ASKED, {"samples": torch.zeros(2, 16, 8, 8)}, PLAN, [1],
                1, False)  # fmt: skip


def test_the_node(model, singles, vae, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    save_file(Maker(model).kohya(), tmp_path / "x.safetensors")
    given = (model, *singles, "x.safetensors", 1.0, "snowy", "at night", "a star", "", LATENT, SEED, 3, STEPS,
             "euler", "simple", 3.5, 2)  # fmt: skip
    plot, sheet, told, table, data = TriggerTest.execute(*given, vae=vae).result
    assert plot.shape[-1] == 3 and sheet.shape[2] > 4 * layouts.LATENT_CHANNELS
    found = json.loads(data)
    assert found["sentence"] == told and len(found["seeds"]) == 3 and found["seeds"][0] == SEED
    assert table.count("\n") == 1 + len(PLACES)
    assert TriggerTest.execute(*given).result[1].shape[1] < sheet.shape[1]
