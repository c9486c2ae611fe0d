"""Prompt Grid in the real model: N + M encodings, and MMDiT Sampler's pictures."""

import json

import folder_paths
import pytest
import torch

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.probe.grid import stages
from flux_duet.nodes.probe.grid.nodes import MEAN, PromptGrid
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy.grid.models import CLIPS, LATENT, T5S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_cells_are_the_samplers_in_the_order_that_is_reported(model, singles, draw):
    sheet, latents, variance, data, _ = draw(model)
    data = json.loads(data)
    places = [(seed, clip, t5) for seed in data["seeds"] for clip in data["clip"] for t5 in data["t5"]]
    assert len(places) == len(latents["samples"]) == 12 and data["order"] == "seed, CLIP prompt, T5 prompt"
    for number in (0, 1, 4, 11):
        seed, clip, t5 = places[number]
        vec, txt = encode_clip_prompt(singles[0], clip, "first")[0], encode_t5(singles[1], t5)[0]
        expected = MMDiTSampler.execute(
            model,
            join(vec, txt, 3.5),
            LATENT,
            None,
            seed=seed,
            steps=2,
            sampler="euler",
            scheduler="simple",
            denoise=1.0,
        )[0]["samples"]
        assert torch.equal(latents["samples"][number : number + 1], expected)
    assert sheet.shape[0] == 2 and sheet.shape[-1] == variance.shape[-1] == 3
    assert data["seeds"] == [7, 8] and data["latents"]["shares"]["both"] is not None
    assert sum(data["pixels"]["shares"].values()) == pytest.approx(1)


def test_every_prompt_is_encoded_once(model, draw, monkeypatch):
    encoded = []
    for name in ("encode_clip_prompt", "encode_t5"):
        real = getattr(stages, name)
        monkeypatch.setattr(stages, name, lambda *args, real=real: encoded.append(args[1]) or real(*args))
    assert len(draw(model, steps=1)[1]["samples"]) == 12
    assert encoded == [*CLIPS, *T5S]


def test_one_sheet_for_all_seeds_and_weights_in_the_attention(model, draw):
    sheet, latents, _, _, _ = draw(model, sheet=MEAN, weights="attention", length="exact", steps=1)
    assert sheet.shape[0] == 1 and not torch.equal(latents["samples"], draw(model, steps=1)[1]["samples"])


# ---- inputs


def test_prompts_from_files(model, draw, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "more.txt").write_text("in the snow\n")
    data = json.loads(draw(model, seeds=1, t5s=T5S[:1], steps=1, clip_file="more.txt")[3])
    assert data["clip"] == [*CLIPS, "in the snow"]
    before = PromptGrid.fingerprint_inputs(clip_file="more.txt", t5_file="(none)", seed=None)
    (tmp_path / "more.txt").write_text("in the snow\nat dusk\n")
    assert PromptGrid.fingerprint_inputs(clip_file="more.txt", t5_file="(none)", seed=None) != before


def test_the_usual_grid_has_an_interval(model, draw):
    schema = PromptGrid.define_schema()
    assert next(each for each in schema.inputs if each.id == "seeds").default >= 4
    data = json.loads(draw(model, clips=CLIPS, t5s=T5S[:2], seeds=4, steps=1)[3])["pixels"]
    assert all(data["intervals"].values()) and all(data["chance"][name] is not None for name in ("clip", "t5", "both"))
    assert "seeds random" in data["method"] and set(data["components"]) == set(data["shares"])


def test_one_prompt_and_one_seed_tell_what_is_unknown(model, draw):
    data = json.loads(draw(model, clips=CLIPS[:1], seeds=1, steps=1)[3])
    assert data["latents"]["shares"]["seed"] is None and data["latents"]["shares"]["clip"] is None


def test_several_pictures_in_the_latent_are_reported(model, draw):
    with pytest.raises(ValueError, match="with 2 pictures, expected one"):
        draw(model, latent={"samples": torch.zeros(2, 16, 8, 8)})
