"""Prompt Grid's LoRAs in the real model: LoraLoader's pictures, kept cells, and nothing changed without LoRAs."""

import json
from dataclasses import astuple

import comfy.model_management
import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

import nodes
from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.disk.fingerprints import digest
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.probe.grid import cells, identity, stages, variants
from flux_duet.nodes.probe.grid.nodes import MEAN, PromptGrid
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.tests.comfy.grid.models import CLIPS, LATENT, T5S
from flux_duet.tests.comfy.lora.files import Maker
from flux_duet.tests.comfy.test_encode_patched import LAYERS, random_lora

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

AXIS = "none\na.safetensors 0.8\nb.safetensors: -0.5"
SMALL = {"clips": CLIPS[:1], "t5s": T5S[:2], "seeds": 1, "steps": 1}


@pytest.fixture
def save(tmp_path, monkeypatch):
    """`save(name, weights)`: a file among ComfyUI's LoRAs."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})

    def run(name, weights):
        save_file({key: each.contiguous() for key, each in weights.items()}, tmp_path / name)

    return run


@pytest.fixture
def files(model, save):
    """a changes the transformer alone, b the encoders too."""
    save("a.safetensors", Maker(model).kohya())
    save("b.safetensors", {**Maker(model, 1).kohya(), **random_lora()})


def natively(model, singles, lora, strength: float, clip: str, t5: str, seed: int):
    """MMDiT Sampler's latent with ComfyUI's own loader of LoRAs."""
    clips = singles
    if lora:
        model, one = nodes.LoraLoader().load_lora(model, singles[0], lora, strength, strength)
        clips = one, nodes.LoraLoader().load_lora(None, singles[1], lora, 0, strength)[1]
    vec, txt = encode_clip_prompt(clips[0], clip, "first")[0], encode_t5(clips[1], t5)[0]
    plan = {"seed": seed, "steps": 2, "sampler": "euler", "scheduler": "simple", "denoise": 1.0}
    return MMDiTSampler.execute(model, join(vec, txt, 3.5), LATENT, None, **plan)[0]["samples"]


def test_cells_are_lora_loaders_in_the_order_that_is_reported(model, singles, draw, files):
    sheet, latents, variance, data, text = draw(model, loras=AXIS)
    data = json.loads(data)
    assert data["order"] == "LoRA, seed, CLIP prompt, T5 prompt" and len(latents["samples"]) == 3 * 12
    lines = [(each["file"], each["strength"]) for each in data["loras"]]
    assert lines == [(None, 0.0), ("a.safetensors", 0.8), ("b.safetensors", -0.5)]
    places = [(*line, clip, t5, seed) for line in lines for seed in data["seeds"] for clip in data["clip"]
              for t5 in data["t5"]]  # fmt: skip
    for number in (0, 11, 12, 20, 24, 29, 35):
        assert torch.equal(latents["samples"][number : number + 1], natively(model, singles, *places[number]))
    assert (
        len({each["model"] for each in data["loras"]}) == 3 and data["loras"][0]["model"] == data["settings"]["model"]
    )
    assert sum(data["pixels"]["shares"].values()) == pytest.approx(1)
    assert data["pixels"]["shares"]["clip_t5_lora"] is not None
    assert "the LoRA" in text or "The LoRA" in text
    assert sheet.shape[0] == 2 and variance.shape[-1] == 3 and draw(model, loras=AXIS, sheet=MEAN)[0].shape[0] == 1


def test_one_clip_with_both_encoders(model, dual, singles, vae, draw, files):
    """The same CLIP in both inputs, patched once."""
    expected = draw(model, **SMALL, loras=AXIS)[1]["samples"]
    args = model, dual, dual, vae, CLIPS[0], "\n".join(T5S[:2]), LATENT, 7, 1, 1, "euler", "simple", 3.5
    got = PromptGrid.execute(*args, loras=AXIS, resume=False).result[1]["samples"]
    assert torch.allclose(got, expected, atol=1e-5)


# ---- without LoRAs

KEYS = ["clip", "t5", "seeds", "order", "cells_from_before", "repainted", "settings", "latents", "pixels"]


def test_without_loras_nothing_changes(model, singles, draw, pictures):
    """Neither the cells' keys, which are those of the first release, nor the outputs."""
    results = [draw(model), draw(model, loras=""), draw(model, loras=" \n")]
    assert pictures.count == 12
    before = json.loads(results[0][3])
    assert list(before) == KEYS and before["order"] == "seed, CLIP prompt, T5 prompt"
    assert list(before["pixels"]["shares"]) == ["clip", "t5", "both", "seed", "rest"]
    for result in results[1:]:
        assert all(torch.equal(result[at], results[0][at]) for at in (0, 2)) and result[4] == results[0][4]
        assert torch.equal(result[1]["samples"], results[0][1]["samples"])
        assert json.loads(result[3]) == {**before, "cells_from_before": 12}
    vec, txt = encode_clip_prompt(singles[0], CLIPS[0], "first")[0], encode_t5(singles[1], T5S[0])[0]
    streams = [[[span.tensor, span.bias, sorted(span.extras.items())] for span in each.spans] for each in (vec, txt)]
    plan = SamplingPlan(7, 2, "euler", "simple")
    key = digest([identity.of_model(model), *streams, 3.5, sorted(LATENT.items()), astuple(plan)])
    assert torch.equal(cells.cells().get(key), results[0][1]["samples"][:1])


def test_the_panel_has_loras_only_where_they_are_compared(model, singles, vae, files):
    args = model, *singles, vae, CLIPS[0], T5S[0], LATENT, 7, 1, 1, "euler", "simple", 3.5
    plain = PromptGrid.execute(*args).ui["flux_duet_grid"][0]
    assert "loras" not in plain and len(plain["cells"]) == 1
    shown = PromptGrid.execute(*args, loras=AXIS).ui["flux_duet_grid"][0]
    assert shown["loras"] == ["without LoRA", "a.safetensors 0.8", "b.safetensors -0.5"] and len(shown["cells"]) == 3


# ---- kept cells


def test_a_plain_grids_cells_are_those_without_lora(model, draw, pictures, files):
    draw(model)
    data = json.loads(draw(model, loras=AXIS)[3])
    assert pictures.count == 3 * 12 and data["cells_from_before"] == 12
    draw(model, loras="b.safetensors -0.5\na.safetensors 0.8\nnone\na.safetensors 0.7")
    assert pictures.count == 4 * 12


def test_a_grid_interrupted_within_a_lora_goes_on_there(model, tiny, draw, pictures, files):
    pictures.stop = 19
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        draw(model, loras=AXIS)
    assert cells.cells().size()[0] == 18
    pictures.stop = None
    again = comfy.sd.load_diffusion_model(str(tiny["flux"]))  # as after a restart
    _, latents, _, data, _ = draw(again, loras=AXIS)
    assert pictures.count == 19 + 36 - 18 and json.loads(data)["cells_from_before"] == 18
    anew = draw(again, loras=AXIS, resume=False)
    assert torch.equal(anew[1]["samples"], latents["samples"])


def test_another_file_under_the_same_name_is_another_lora(model, draw, pictures, save):
    save("a.safetensors", Maker(model).kohya())
    inputs = {"loras": "a.safetensors 1"}
    first, noted = draw(model, **SMALL, **inputs), PromptGrid.fingerprint_inputs(**inputs)
    save("a.safetensors", Maker(model, 1).kohya())
    assert PromptGrid.fingerprint_inputs(**inputs) != noted
    second = draw(model, **SMALL, **inputs)
    assert pictures.count == 4 and not torch.equal(first[1]["samples"], second[1]["samples"])
    save("a.safetensors", Maker(model).kohya())
    assert torch.equal(draw(model, **SMALL, **inputs)[1]["samples"], first[1]["samples"]) and pictures.count == 4


def test_each_file_is_read_once_and_its_cells_are_sampled_together(model, draw, files, monkeypatch):
    read, models, sample = [], [], cells.sample
    real = variants.read
    monkeypatch.setattr(variants, "read", lambda path: read.append(path) or real(path))
    monkeypatch.setattr(cells, "sample", lambda model, *args: models.append(id(model)) or sample(model, *args))
    draw(model, loras=f"{AXIS}\na.safetensors 0.4", steps=1)
    assert len(read) == 2 and len(models) == 4 * 12
    assert len([1 for one, other in zip(models, models[1:], strict=False) if one != other]) == 3


# ---- the encoders


@pytest.mark.parametrize("name", LAYERS)
def test_only_what_a_lora_changes_is_encoded_again(model, draw, save, monkeypatch, name):
    save("a.safetensors", Maker(model).kohya())
    save("b.safetensors", random_lora(layers={name: LAYERS[name]}))
    encoded = []
    for function in ("encode_clip_prompt", "encode_t5"):
        real = getattr(stages, function)
        monkeypatch.setattr(stages, function, lambda *args, real=real: encoded.append(args[1]) or real(*args))
    data = json.loads(draw(model, steps=1, loras=AXIS)[3])
    assert encoded == [*CLIPS, *T5S, *(CLIPS if name == "clip_l" else T5S)]
    assert data["loras"][0]["model"] == data["loras"][2]["model"] != data["loras"][1]["model"]
    assert data["cells_from_before"] == 0


# ---- what is refused and said


def test_what_acts_on_nothing_is_refused_and_a_rest_is_reported(model, singles, draw, save, caplog):
    save("a.safetensors", {"lora_unet_nothing.lora_up.weight": torch.ones(4, 4)})
    with pytest.raises(ValueError, match="Prompt Grid: a.safetensors changes nothing in this model and its encoders"):
        draw(model, **SMALL, loras="a.safetensors 1")
    save("a.safetensors", {**Maker(model).kohya(), "lora_unet_nothing.lora_up.weight": torch.ones(4, 4)})
    draw(model, **SMALL, loras="a.safetensors 1")
    assert "tensors in a.safetensors have no effect: lora_unet_nothing.lora_up.weight" in caplog.text
    assert "`loras` has one line, so the share of the LoRA is unknown" in caplog.text


def test_a_control_lora_needs_a_picture(model, draw, save):
    save("a.safetensors", Maker(model).bfl_control())
    with pytest.raises(ValueError, match="this model reads a picture in addition.*to `like`"):
        draw(model, **SMALL, loras="a.safetensors 1")


def test_wrong_lines_are_refused_before_the_run(files):
    assert PromptGrid.validate_inputs() is True and PromptGrid.validate_inputs(loras=AXIS) is True
    assert PromptGrid.validate_inputs(loras=None) is True
    assert "line 1 of `loras`: there is no 'c.safetensors'" in PromptGrid.validate_inputs(loras="c.safetensors 1")
