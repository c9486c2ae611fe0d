"""LoRA Influence on small models: its velocities are native runs', and the weights are as before afterwards."""

import json

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_easycache
from safetensors.torch import save_file

from flux_duet.nodes.lora.load import as_file, patches_of
from flux_duet.nodes.lora.parts import (
    CLIP_ENCODER,
    CLIP_STREAM,
    ENCODERS,
    IMAGE,
    JOINT,
    PARTS,
    T5_ENCODER,
    T5_STREAM,
)
from flux_duet.nodes.lora.strengths import Strengths
from flux_duet.nodes.probe import at_moments
from flux_duet.nodes.probe.parts import measure as measuring
from flux_duet.nodes.probe.parts.measure import measure
from flux_duet.nodes.probe.parts.nodes import LoraInfluence
from flux_duet.nodes.probe.with_lora import Subject
from flux_duet.nodes.sample.nodes import ModulationTable
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.lora.files import Maker
from flux_duet.tests.comfy.matrix import probes
from flux_duet.tests.comfy.matrix.graph import LATENT, SEED, SIDE, STEPS, Graph, natively

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TEXTS = "at night", "a red circle"
PLAN = SamplingPlan(SEED, STEPS, "euler", "simple")
SINGLE_MODULATION = "single_blocks.0.modulation.lin"


@pytest.fixture(scope="module")
def maker(model):
    return Maker(model)


def subject(weights, model, clip, t5, strength=1.0) -> Subject:
    return Subject("LoRA Influence", as_file("x.safetensors", weights), strength, model, clip, t5, 3.5, "ComfyUI", None)


def reading_of(weights, model, clip, t5, count=STEPS, latent=LATENT, **options):
    return measure(subject(weights, model, clip, t5, **options), *TEXTS, latent, PLAN, count)


def plain_weights(model) -> dict:
    """The weights after ComfyUI has taken all patches out."""
    comfy.model_management.unload_all_models()
    return {name: each.clone() for name, each in model.model.state_dict().items()}


def patched(model, clip, weights, parts):
    """The MODEL and CLIP with some parts, by ComfyUI's own loader."""
    lora = patches_of(as_file("x", weights), model, [clip])
    kept = {name for patch, _ in lora.active(Strengths(dict.fromkeys(set(PARTS) - set(parts), 0.0)))
            for name in patch.tensors}  # fmt: skip
    return comfy.sd.load_lora_for_models(model, clip, {name: weights[name] for name in kept}, 1.0, 1.0)


def native_velocities(model, clip, weights, parts, seen):
    """Of ComfyUI's own graph with these parts of the LoRA, each on the x_t seen."""
    model = patched(model, clip, weights, set(parts) - set(ENCODERS))[0]
    texts = []
    for part in ENCODERS:
        encoders = patched(model, clip, weights, {part} & set(parts))[1]
        texts.append(native.encode(encoders, *TEXTS))
    prompt = [[texts[1][0][0], {**texts[1][0][1], "pooled_output": texts[0][0][1]["pooled_output"]}]]
    return probes.velocities(Graph(model, prompt, prompt), seen, None)


@pytest.mark.parametrize("kind", ["transformer", "encoders"])
def test_velocities_are_native_runs_bit_for_bit(kind, maker, model, dual, monkeypatch):
    """Every set's velocities, on the x_t of the native run with the whole LoRA, and that run's picture."""
    weights = maker.kohya() if kind == "transformer" else {**maker.encoders(), **maker.kohya([SINGLE_MODULATION])}
    found = {}
    keep = measuring.effects
    monkeypatch.setattr(measuring, "effects", lambda values, again, *rest: (
        found.setdefault("values", []).append(values), found.setdefault("again", []).append(again),
        keep(values, again, *rest))[-1])  # fmt: skip
    reading, done = reading_of(weights, model, dual, dual)
    expected = (CLIP_STREAM, T5_STREAM, IMAGE, JOINT) if kind == "transformer" else (*ENCODERS, CLIP_STREAM)
    assert reading.parts == expected and reading.evaluations == (2 ** len(expected) + 1) * STEPS
    full, clip = patched(model, dual, weights, expected)
    prompt = native.encode(clip, *TEXTS)
    graph = Graph(full, prompt, prompt)
    assert torch.equal(done["samples"], natively(graph))
    seen = probes.seen_by(graph)
    for each in found["values"][0]:
        for at, velocity in enumerate(native_velocities(model, dual, weights, each, seen)):
            assert torch.equal(found["values"][at][each], velocity), (each, at)
    assert all(torch.equal(again, values[frozenset(expected)])
               for again, values in zip(found["again"], found["values"], strict=True))  # fmt: skip


def test_a_cache_does_not_answer(maker, model, singles):
    """EasyCache, at a threshold where it skips all it can: each value is the model's own."""
    prompt = subject(maker.kohya(), model, *singles).encode(*TEXTS, ())
    run = at_moments.sampled(model, prompt, LATENT, PLAN, list(range(STEPS)))
    cached = nodes_easycache.EasyCacheNode.execute(model, 100.0, 0.0, 1.0, False)[0]
    pairs = zip(*(at_moments.velocities(each, prompt, run) for each in (model, cached)), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_behind_a_modulation_table(maker, model, singles):
    """The table is made of the weights with each set of parts: all numbers are the same."""
    weights, tabled = maker.kohya(), ModulationTable.execute(model)[0]
    plain, table = (reading_of(weights, each, *singles)[0] for each in (model, tabled))
    assert plain.by_moment == table.by_moment


def test_shares_are_of_the_whole(maker, model, singles):
    weights = {**maker.kohya(), **maker.encoders()}
    reading, _ = reading_of(weights, model, *singles, count=2)
    assert reading.parts == PARTS and not reading.exact and len(reading.moments) == 2
    assert [each.step for each in reading.moments] == [0, STEPS - 1]
    reading, _ = reading_of(maker.kohya(), model, *singles)
    assert sum(reading.whole.shares) == pytest.approx(1, abs=1e-4)
    assert all(sum(each.shares) == pytest.approx(1, abs=1e-4) for each in reading.by_moment)
    assert reading.whole.floor == 0


def test_one_part_is_all_of_it(maker, model, singles):
    reading, _ = reading_of(maker.kohya([SINGLE_MODULATION]), model, *singles)
    assert reading.parts == (CLIP_STREAM,)
    assert reading.whole.shares == [pytest.approx(1, abs=1e-6)]
    assert reading.whole.alone == reading.whole.left_out == [reading.whole.whole]


def test_measured_steps():
    """The first, the last, and evenly between."""
    assert at_moments.spread(20, 4) == [0, 6, 13, 19]
    assert at_moments.spread(3, 8) == [0, 1, 2]
    assert at_moments.spread(20, 1) == at_moments.spread(1, 4) == [0]


def test_encoders_alone(maker, model, singles):
    """CLIP-L and T5 on two CLIPs are the parts of one on both."""
    weights = maker.encoders()
    reading, _ = reading_of(weights, model, *singles)
    assert reading.parts == (CLIP_ENCODER, T5_ENCODER) and reading.whole.whole > 0


def test_a_mask(maker, model, singles):
    """Only what is repainted counts: nothing changes where the picture is kept."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., SIDE // 2 :] = 1
    reading, _ = reading_of(maker.kohya(), model, *singles, latent={**LATENT, "noise_mask": mask})
    assert reading.repainted == [pytest.approx(0.5)]
    kept = torch.stack([each.effects.maps for each in reading.moments])[..., : SIDE // 2]
    assert not kept.any() and sum(reading.whole.shares) == pytest.approx(1, abs=1e-4)


def test_a_batch(maker, model, singles):
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    reading, done = reading_of(maker.kohya(), model, *singles, count=1, latent=latent)
    assert reading.moments[0].effects.maps.shape == (4, 2, SIDE, SIDE) and len(done["samples"]) == 2


@pytest.mark.parametrize("error", [RuntimeError, comfy.model_management.InterruptProcessingException])
def test_weights_after_a_failure(error, maker, model, singles, monkeypatch):
    """A variant that fails or is cancelled leaves the weights, and a native picture, as they were."""
    prompt = subject(maker.kohya(), model, *singles).encode(*TEXTS, ())
    graph = Graph(model, prompt, prompt)
    before, picture = plain_weights(model), natively(graph)
    calls, keep = [], at_moments.check_interrupted

    def fail():
        calls.append(0)
        if len(calls) == 5:
            raise error("now")
        keep()

    monkeypatch.setattr(at_moments, "check_interrupted", fail)
    with pytest.raises(error):
        reading_of(maker.kohya(), model, *singles)
    assert torch.equal(natively(graph), picture)
    after = plain_weights(model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not model.patches


def test_weights_after_a_reading(maker, model, singles):
    """The plain model is evaluated last: nothing of the LoRA is in place."""
    before = plain_weights(model)
    reading_of(maker.kohya(), model, *singles, count=1)
    assert all(torch.equal(value, before[name]) for name, value in model.model.state_dict().items())


def test_refusals(maker, model, singles):
    for weights, strength in (({"x.weight": torch.zeros(2, 2)}, 1.0), (maker.kohya(), 0.0)):
        with pytest.raises(ValueError, match="changes nothing in this model and its encoders"):
            subject(weights, model, *singles, strength=strength)


def test_the_node(maker, model, singles, vae, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    save_file(maker.kohya(), tmp_path / "x.safetensors")
    given = (model, *singles, "x.safetensors", 1.0, *TEXTS, LATENT, SEED, STEPS, "euler", "simple", 3.5)
    out = LoraInfluence.execute(*given, measured_steps=2, vae=vae).result
    plot, pages, masks, sentence, table, data, latent = out
    assert plot.shape[-1] == pages.shape[-1] == 3 and masks.shape == (4, 8 * SIDE, 8 * SIDE)
    assert 0 <= masks.min() and masks.max() <= 1
    found = json.loads(data)
    assert found["sentence"] == sentence and found["settings"]["clip"] == TEXTS[0]
    assert table.count("\n") == 6
    assert torch.equal(latent["samples"], LoraInfluence.execute(*given, measured_steps=1).result[-1]["samples"])
