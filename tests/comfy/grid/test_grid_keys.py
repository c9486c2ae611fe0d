"""Prompt Grid reuses its cells: whatever changes a picture changes its key."""

import json
import os
import time
from dataclasses import replace

import comfy.model_management
import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras import nodes_model_advanced

from flux_duet.nodes.condition.extras import with_extras
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.probe.grid import cells, identity
from flux_duet.nodes.probe.heat.nodes import ConceptHeatmap, Heatmap
from flux_duet.nodes.probe.influence.nodes import Influence
from flux_duet.nodes.sample.nodes import ApplyDuet, ModulationTable
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.tests.comfy.grid.models import CLIPS, LATENT, T5S, lora, opaque

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_an_interrupted_grid_goes_on_where_it_stopped(model, tiny, draw, pictures):
    pictures.stop = 6
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        draw(model)
    assert pictures.count == 6 and cells.cells().size()[0] == 5
    pictures.stop = None
    again = comfy.sd.load_diffusion_model(str(tiny["flux"]))  # as after a restart
    _, latents, _, data, _ = draw(again)
    assert pictures.count == 6 + 12 - 5 and json.loads(data)["cells_from_before"] == 5
    anew = draw(again, resume=False)
    assert pictures.count == 13 + 12 and torch.equal(anew[1]["samples"], latents["samples"])


def test_one_more_prompt_draws_its_cells_alone(model, draw, pictures):
    draw(model, seeds=1, steps=1)
    draw(model, clips=(*CLIPS, "in the snow"), seeds=1, steps=1)
    assert pictures.count == 6 + 3


CHANGES = {
    "guidance": {"guidance": 2.0},
    "CLIP prompt": {"vec": "on pink paper"},
    "T5 prompt": {"txt": ("a heart", "ComfyUI")},
    "length": {"txt": ("a star", "exact")},
    "weights": {"txt": ("a (star:1.3)", "ComfyUI", "attention")},
    "seed": {"seed": 8},
    "steps": {"steps": 3},
    "scheduler": {"scheduler": "beta"},
    "size": {"latent": {"samples": torch.zeros(1, 16, 8, 10)}},
    "picture": {"latent": {"samples": torch.ones(1, 16, 8, 8)}},
    "mask": {"latent": {**LATENT, "noise_mask": torch.ones(1, 64, 64)}},
    "picture beside it": {"extras": {"concat_latent_image": torch.ones(1, 16, 8, 8)}},
    "another picture beside it": {"extras": {"concat_latent_image": torch.zeros(1, 16, 8, 8)}},
    "reference": {"extras": {"reference_latents": [torch.zeros(1, 16, 8, 8)]}},
}


def test_whatever_changes_a_picture_changes_its_key(singles):
    def key(guidance=3.5, vec="at night", txt=("a star", "ComfyUI"), latent=LATENT, extras=None, **plan):
        streams = encode_clip_prompt(singles[0], vec, "first")[0], encode_t5(singles[1], *txt)[0]
        streams = streams[0], with_extras(streams[1], extras or {}, {}, "Prompt Grid")
        return identity.of_cell(
            "the model", *streams, guidance, latent, replace(SamplingPlan(7, 2, "euler", "simple"), **plan)
        )

    keys = {name: key(**change) for name, change in {"nothing": {}, **CHANGES}.items()}
    assert None not in keys.values() and len(set(keys.values())) == len(keys)
    assert keys["nothing"] == key()
    assert key(latent={**LATENT, "something": object()}) is None, "without a known key nothing is cached"
    assert key(extras={"control": object()}) is None, "a ControlNet has no content to compare"


def test_a_lora_is_another_model(model, draw, pictures):
    small = {"clips": CLIPS[:1], "t5s": T5S[:2], "seeds": 1}
    plain = draw(model, **small)
    patched = draw(lora(model, 1.0), **small)
    assert pictures.count == 4 and not torch.equal(plain[1]["samples"], patched[1]["samples"])
    others = [identity.of_model(each) for each in (model, lora(model, 1.0), lora(model, 0.5), lora(model, 1.0, seed=1))]
    assert len(set(others)) == 4 and None not in others
    # The first two again, whichever of them is patched into the weights now.
    assert torch.equal(draw(lora(model, 1.0), **small)[1]["samples"], patched[1]["samples"])
    assert torch.equal(draw(model, **small)[1]["samples"], plain[1]["samples"]) and pictures.count == 4


def test_another_file_at_the_same_path_is_another_model(model, tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny["flux"].read_bytes())
    first = identity.of_model(comfy.sd.load_diffusion_model(str(path)))
    assert first == identity.of_model(model) is not None, "the same content is the same model"
    weights = comfy.utils.load_torch_file(str(path))
    weights = {name: value * 1.01 if name.endswith("img_mlp.0.weight") else value for name, value in weights.items()}
    comfy.utils.save_torch_file(weights, str(path))
    assert identity.of_model(comfy.sd.load_diffusion_model(str(path))) not in (first, None)


def test_a_file_exchanged_under_a_loaded_model_does_not_lend_it_its_name(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny["flux"].read_bytes())
    loaded = comfy.sd.load_diffusion_model(str(path))
    weights = comfy.utils.load_torch_file(str(path))
    comfy.utils.save_torch_file(
        {name: value + 1e-3 if value.ndim == 1 else value for name, value in weights.items()}, str(path)
    )
    assert identity.of_model(loaded) != identity.of_model(comfy.sd.load_diffusion_model(str(path)))


def test_settings_of_the_model_are_reported(model):
    def shifted(shift):
        return nodes_model_advanced.ModelSamplingFlux().patch(model, shift, 0.5, 64, 64)[0]

    digests = [identity.of_model(each) for each in (model, shifted(1.0), shifted(1.3))]
    assert None not in digests and len(set(digests)) == 3
    assert identity.of_model(shifted(1.3)) == digests[2] and identity.of_model(model.clone()) == digests[0]
    assert identity.of_model(ApplyDuet.execute(model)[0]) == digests[0], "it does nothing to prompts without controls"


def test_a_probe_or_a_table_before_the_grid_changes_no_key(model, singles):
    txt = encode_t5(singles[1], "a star")[0]
    watched = [
        Heatmap.execute(model, txt, "star")[0],
        ConceptHeatmap.execute(model, singles[1], "star")[0],
        Influence.execute(model, "zeros")[0],
        ModulationTable.execute(model)[0],
    ]
    assert {identity.of_model(each) for each in (model, *watched)} == {identity.of_model(model)} != {None}


@pytest.mark.parametrize("how", ["a function", "a patch", "a wrapper", "an object", "another loader"])
def test_where_a_model_cannot_be_told_nothing_is_kept_and_that_is_said(model, draw, pictures, caplog, how):
    changed = opaque(model, how)
    assert identity.of_model(changed) is None
    if how == "a function":
        draw(changed, clips=CLIPS[:1], seeds=1, steps=1)
        draw(changed, clips=CLIPS[:1], seeds=1, steps=1)
        assert pictures.count == 6 and cells.cells().size() == (0, 0) and "cells are not kept" in caplog.text


def test_cells_are_bounded_and_forgotten(model, draw, pictures, monkeypatch):
    monkeypatch.setattr(cells, "LIMIT_MB", 0.02)  # four latents of this size
    draw(model, steps=1)
    count, size = cells.cells().size()
    assert 0 < count < 12 and size <= 20_000
    for path in cells.cells().folder.glob("*.safetensors"):
        os.utime(path, (0, time.time() - cells.FORGOTTEN - 60))
    cells.cells().forget()
    assert cells.cells().size() == (0, 0)
