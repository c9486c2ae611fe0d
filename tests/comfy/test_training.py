"""nano/train.py trains with what ComfyUI uses: the same tokens, the same two streams, the same weights."""

import random
from dataclasses import replace

import comfy.sd1_clip
import pytest
import torch
from comfy.text_encoders.flux import FluxTokenizer

from flux_duet.nano import autoencoder, encoders, flow, layouts, scenes, text, train

pytestmark = pytest.mark.slow

RECIPE = replace(train.Recipe(), steps=4, batch=2, pool=4, warmup=1, guided_from=0.5)
SMALL = layouts.Shape(double=1, single=1)


@pytest.fixture(scope="module")
def tokens():
    return text.Tokens()


def captions(count: int) -> list[str]:
    rng = random.Random(0)
    texts = [say(scenes.random_scene(rng), rng) for _ in range(count) for say in text.CAPTIONS.values()]
    return ["", *texts]


# ---- text


def test_tokens_are_comfyuis(tokens):
    texts, native = captions(10), FluxTokenizer()
    (clip, lengths), t5 = tokens.clip(texts), tokens.t5(texts)
    for each, clip_ids, length, t5_ids in zip(texts, clip, lengths, t5, strict=True):
        expected = native.tokenize_with_weights(each)
        assert clip_ids.tolist() == [token for token, _ in expected["l"][0]]
        assert t5_ids.tolist() == [token for token, _ in expected["t5xxl"][0]]
        assert clip_ids.tolist().index(49407) == length - 1


def test_unknown_words_stand_among_the_others_and_take_none_away(tokens):
    texts = ["a small red circle in the top left, on pink paper"] * 200
    (plain, (length, *_)), (strewn, lengths) = tokens.clip(texts), tokens.clip(texts, random.Random(0))
    assert {length} < set(lengths) and max(lengths) > length + 4
    known = plain[0, :length].tolist()
    for row, end in zip(strewn.tolist(), lengths, strict=True):
        left = iter(row[:end])
        assert all(token in left for token in known)  # in their order
        assert row[end - 1] == 49407 and 49407 not in row[: end - 1]
    rows = tokens.t5(texts, 0, random.Random(0))
    assert rows.shape[1] > tokens.t5(texts, 0).shape[1]


def test_clip_never_gets_more_than_it_reads(tokens):
    ids, lengths = tokens.clip(["red circle, " * 23] * 50, random.Random(0))
    assert ids.shape == (50, 77) and max(lengths) == 77
    assert all(row[length - 1] == 49407 for row, length in zip(ids, lengths, strict=True))


def test_vec_is_comfyuis_pooled_output(tokens):
    model = encoders.TextEncoders(SMALL, seed=1)
    config = {
        "clip_l_model_config": {
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": SMALL.clip_layers,
            "num_attention_heads": 1,
        }
    }
    native = comfy.sd1_clip.SDClipModel(return_projected_pooled=False, model_options=config, dtype=torch.float32)
    native.load_sd(layouts.official({"clip_l": model.clip_l})["clip_l"])
    ids, lengths = tokens.clip(["a red circle", ""])
    with torch.no_grad():
        _, pooled = native.encode(ids.tolist())
        assert torch.allclose(model.vec(ids, lengths), pooled, atol=1e-6)


def test_lessons_ask_for_what_the_caption_says():
    circle = scenes.Object("red", "circle", "left", "small", "striped")
    scene = scenes.Scene((circle, scenes.Object("blue", "star", "right")), "sea", "left of")
    objects, look = encoders.truth(scene, "whole")
    assert objects[encoders.PLACES.index("left")] == [0, 0, 1, 1]
    assert objects[encoders.PLACES.index("right")] == [4, 3, 0, 0]
    assert sum(answers != [8, 18, 3, 2] for answers in objects) == 2
    assert look == list(scenes.BACKGROUNDS).index("sea")
    assert encoders.truth(scene, "objects") == (objects, len(scenes.BACKGROUNDS))
    silent, background = encoders.truth(scene, "background")
    assert all(answers == [8, 18, 3, 2] for answers in silent) and background == look
    both = (replace(circle, place="center"), scenes.Object("blue", "square"))
    inner = replace(scene, objects=both, relation="inside")
    objects, _ = encoders.truth(inner, "objects")
    assert objects[-1] == [0, 0, 1, 1] and objects[encoders.PLACES.index("center")] == [4, 1, 0, 0]


def test_lessons_teach_both_encoders():
    model = encoders.TextEncoders(SMALL, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoders.train(model, SMALL, steps=2, seed=0, batch=4)
    learned = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert learned == {"clip_l", "t5xxl"}
    model.round_tables(train.TABLE_DTYPE)
    for name, value in model.state_dict().items():
        if name.endswith(layouts.TABLES):
            assert torch.equal(value, value.to(train.TABLE_DTYPE).float())


# ---- the autoencoder


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


# ---- the flow


def run(folder, recipe=RECIPE) -> train.Run:
    latents = torch.randn(recipe.pool, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    texts = encoders.TextEncoders(SMALL, seed=0).requires_grad_(False)
    return train.Run(recipe, SMALL, texts, latents, folder, minutes=None)


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


def test_the_encoders_stay_as_they_were(tmp_path):
    one = run(tmp_path)
    before = {name: value.clone() for name, value in one.encoders.state_dict().items()}
    train.train_flow(one)
    assert all(torch.equal(value, before[name]) for name, value in one.encoders.state_dict().items())


def test_guidance_adds_what_the_words_change():
    model = flow.flux(SMALL, seed=0)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.05)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 16, 16, 16, generator=generator)
    prompts, empty = (
        flow.Prompts(torch.randn(3, 64, generator=generator), torch.randn(3, 5, 64, generator=generator))
        for _ in range(2)
    )
    sigma, guidance = torch.full((3,), 0.7), torch.tensor([1.0, 2.0, 5.0])
    added = flow.guided(model, x, sigma, prompts, empty, guidance)
    ones = torch.ones(3)
    changed = flow.velocity(model, x, sigma, prompts, ones) - flow.velocity(model, x, sigma, empty, ones)
    assert changed.abs().min(0).values.max() > 1e-3
    for row, strength in enumerate((0.0, 0.4, 1.6)):
        assert torch.allclose(added[row], strength * changed[row], atol=1e-6)
