"""The shipped nano LoRAs do what their training meant: one at a word in the T5 prompt, one always.

nano/README.md has the measured values; the bounds leave room for other processors.
"""

import asyncio
import random
from dataclasses import replace

import comfy.sd
import folder_paths
import pytest
import torch
from comfy.utils import load_torch_file
from safetensors import safe_open

import nodes
from flux_duet.nano import encoders, flow, layouts, lora, lora_file
from flux_duet.nano.lora_effects import WHERE, Effect, measured, prompts
from flux_duet.nano.pipeline import MODELS, Pipeline
from flux_duet.nodes.extension import FluxDuetExtension

SIZES = {name: tuple(value.shape) for name, value in layouts.modules(layouts.NANO)["flux"].named_parameters()}


def path(name: str):
    return MODELS / lora.FOLDER / f"{name}.safetensors"


@pytest.mark.parametrize("name", lora.RECIPES)
def test_a_file_holds_the_planted_layers_alone(name):
    recipe, file = lora.RECIPES[name], load_torch_file(str(path(name)))
    assert path(name).stat().st_size < 1_000_000
    keys = [lora_file.key_of(layer) for layer in recipe.layers]
    assert {key.split(".")[0] for key in file} == set(keys)
    assert all(value.dtype == torch.float16 for value in file.values())
    for key, layer in zip(keys, recipe.layers, strict=True):
        out, width = SIZES[f"{layer}.weight"]
        assert file[f"{key}.lora_down.weight"].shape == (recipe.rank, width)
        assert file[f"{key}.lora_up.weight"].shape == (out, recipe.rank)
        assert file[f"{key}.alpha"].item() == recipe.alpha
    assert all(norm > 0 for norm in lora_file.norms_of(file).values())
    with safe_open(path(name), "pt") as opened:
        assert opened.metadata().get("modelspec.trigger_phrase", "") == recipe.word


def test_one_reads_the_t5_prompt_and_the_other_the_clip_prompt():
    trigger, always = (lora.RECIPES[name].layers for name in ("nano_trigger", "nano_always"))
    assert all("double_blocks.1." in layer and "mod" not in layer for layer in trigger)
    assert all("single_blocks." in layer and layer.endswith("modulation.lin") for layer in always)


def test_a_planted_lora_has_the_norms_asked_for():
    asked = {"double_blocks.0.img_attn.qkv": 0.5, "single_blocks.3.linear2": 2.0, "single_blocks.1.modulation.lin": 0.1}
    made = lora_file.planted(asked, {layer: SIZES[f"{layer}.weight"] for layer in asked})
    found = lora_file.norms_of(made)
    assert found == pytest.approx({lora_file.key_of(layer): norm for layer, norm in asked.items()}, rel=1e-5)


def test_comfyui_lists_and_loads_them(monkeypatch):
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", dict(folder_paths.folder_names_and_paths))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    asyncio.run(FluxDuetExtension().on_load())
    names = [f"{name}.safetensors" for name in lora.RECIPES]
    assert set(names) <= set(folder_paths.get_filename_list(lora.FOLDER))
    model = comfy.sd.load_diffusion_model(str(MODELS / layouts.FILES["flux"]))
    for name, recipe in zip(names, lora.RECIPES.values(), strict=True):
        (patched,) = nodes.LoraLoaderModelOnly().load_lora_model_only(model, name, 1.0)
        assert set(patched.patches) == {f"diffusion_model.{layer}.weight" for layer in recipe.layers}


# ---- training

SMALL = layouts.Shape(double=1, single=1)
LAYERS = "double_blocks.0.img_attn.qkv", "double_blocks.0.txt_mlp.2"


def training(folder) -> lora.Run:
    """Four steps of a LoRA for a small random model."""
    recipe = replace(lora.RECIPES["nano_trigger"], layers=LAYERS, steps=4, batch=4, pool=6, warmup=1)
    model, generator = flow.flux(SMALL, seed=0).requires_grad_(False), torch.Generator().manual_seed(0)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.05, generator=generator)
    texts = encoders.TextEncoders(SMALL, seed=0).requires_grad_(False)
    change = 0.5 * torch.eye(16), torch.ones(16)
    return lora.Run(recipe, model, texts, torch.randn(6, 16, 16, 16, generator=generator), change, folder)


@pytest.mark.slow
def test_a_resumed_training_equals_an_unbroken_one(tmp_path):
    unbroken, broken = training(tmp_path / "one"), training(tmp_path / "two")
    before = {name: value.clone() for name, value in unbroken.model.state_dict().items()}
    lora.train(unbroken)
    with flow.differentiable():
        broken.advance()
        broken.advance()
    broken.keep()
    resumed = training(tmp_path / "two")
    assert resumed.step == 2
    lora.train(resumed)
    for ours, theirs in zip(resumed.lora.parameters(), unbroken.lora.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6) and theirs.any()
    assert all(torch.equal(value, before[name]) for name, value in unbroken.model.state_dict().items())


def test_the_word_is_placed_once_and_takes_no_word_away():
    texts = [lora.placed("snowy", "a small red circle", random.Random(seed)) for seed in range(30)]
    assert len(set(texts)) > 3
    for text in texts:
        words = text.replace(",", "").split()
        assert words.count("snowy") == 1
        assert [word for word in words if word != "snowy"] == ["a", "small", "red", "circle"]
    assert lora.placed("snowy", "", random.Random(0)) == "snowy"


# ---- pictures


@pytest.fixture(scope="module")
def effects() -> dict[tuple[str, str], Effect]:
    """By LoRA and by where the word is."""
    pipeline = Pipeline()
    return {(name, where): measured(pipeline, name, prompts(where)) for name in lora.RECIPES for where in WHERE}


@pytest.mark.slow
def test_the_word_in_the_t5_prompt_triggers(effects):
    with_word, without = effects["nano_trigger", "word in T5"], effects["nano_trigger", "no word"]
    assert with_word.filter > 0.3 and abs(without.filter) < 0.05
    assert with_word.velocity > 5 * without.velocity


@pytest.mark.slow
def test_the_word_in_the_clip_prompt_does_nothing(effects):
    in_clip, without = effects["nano_trigger", "word in CLIP"], effects["nano_trigger", "no word"]
    assert abs(in_clip.filter) < 0.1 and in_clip.velocity < 1.6 * without.velocity
    assert effects["nano_trigger", "word in both"].filter > 0.3


@pytest.mark.slow
def test_another_word_does_nothing(effects):
    other, without = effects["nano_trigger", "another word"], effects["nano_trigger", "no word"]
    assert abs(other.filter) < 0.05 and other.velocity < 1.3 * without.velocity


@pytest.mark.slow
def test_the_other_acts_on_every_prompt(effects):
    found = [effects["nano_always", where] for where in WHERE]
    assert all(each.filter > 0.2 for each in found)
    velocities = [each.velocity for each in found]
    assert max(velocities) < 1.5 * min(velocities)
