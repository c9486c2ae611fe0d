"""What nano/train.py teaches is what ComfyUI will ask for: the same tokens, the same two streams, the same weights."""

import random
from dataclasses import replace

import comfy.sd1_clip
import pytest
import torch
from comfy.text_encoders.flux import FluxTokenizer

from flux_duet.nano import autoencoder, flow, layouts, scenes, train

RECIPE = replace(train.Recipe(), steps=4, batch=2, pool=4, warmup=1)


@pytest.fixture(scope="module")
def tokens():
    return flow.Tokens()


def captions(count: int) -> list[str]:
    rng = random.Random(0)
    told = [say(scenes.random_scene(rng), rng) for _ in range(count) for say in flow.CAPTIONS.values()]
    return ["", *told]


def test_tokens_are_comfyuis(tokens):
    texts, native = captions(10), FluxTokenizer()
    (clip, lengths), t5 = tokens.clip(texts), tokens.t5(texts)
    for text, clip_ids, length, t5_ids in zip(texts, clip, lengths, t5, strict=True):
        expected = native.tokenize_with_weights(text)
        assert clip_ids.tolist() == [token for token, _ in expected["l"][0]]
        assert t5_ids.tolist() == [token for token, _ in expected["t5xxl"][0]]
        assert clip_ids.tolist().index(49407) == length - 1


def test_vec_is_comfyuis_pooled_output(tokens):
    model = flow.Nano(layouts.Shape(), seed=1)
    config = {"clip_l_model_config": {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1}}
    native = comfy.sd1_clip.SDClipModel(return_projected_pooled=False, model_options=config, dtype=torch.float32)
    native.load_sd(layouts.official({"clip_l": model.clip_l})["clip_l"])
    ids, lengths = tokens.clip(["a red circle", ""])
    with torch.no_grad():
        _, pooled = native.encode(ids.tolist())
        assert torch.allclose(model.vec(ids, lengths), pooled, atol=1e-6)


def test_slim_autoencoder_and_its_official_form_are_one_function():
    torch.manual_seed(0)
    slim = autoencoder.SlimTAESD()
    wide = layouts.modules(layouts.Shape())["ae"]
    wide.load_state_dict(autoencoder.embed(slim, wide.state_dict()))
    image = autoencoder.pictures([scenes.random_scene(random.Random(3))])
    with torch.no_grad():
        latent = slim.taesd_encoder(image)
        native = (wide.encode(2 * image - 1) - layouts.LATENT_SHIFT) * layouts.LATENT_SCALE
        assert torch.allclose(native, latent, atol=1e-5)
        assert torch.allclose(wide.decode(wide.encode(2 * image - 1)), 2 * slim.taesd_decoder(latent) - 1, atol=1e-5)


def run(folder, recipe=RECIPE) -> train.Run:
    latents = torch.randn(recipe.pool, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    return train.Run(recipe, layouts.Shape(double=1, single=1), latents, folder, minutes=None)


def test_resumed_run_equals_an_unbroken_one(tmp_path):
    unbroken, broken = run(tmp_path / "one"), run(tmp_path / "two")
    train.train_flow(unbroken)
    with flow.differentiable():
        broken.advance()
        broken.advance()
    broken.keep()
    resumed = run(tmp_path / "two")
    assert resumed.step == 2
    train.train_flow(resumed)
    assert resumed.step == unbroken.step == 4
    for ours, theirs in zip(resumed.average.parameters(), unbroken.average.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_another_recipe_does_not_continue_this_one(tmp_path):
    run(tmp_path).keep()
    assert run(tmp_path, replace(RECIPE, steps=9)).step == 0  # more steps are the same recipe
    with pytest.raises(ValueError, match="another recipe"):
        run(tmp_path, replace(RECIPE, lr=1.0))
