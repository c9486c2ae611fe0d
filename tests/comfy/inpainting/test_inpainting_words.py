"""Word Ablation and Token Heatmap with a noise_mask."""

import json

import pytest
import torch

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat.reading import masks as masks_of
from flux_duet.nodes.probe.heat.reading import otsu
from flux_duet.nodes.probe.repainted import repainted_sentence
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.inpainting.runs import (
    LATENTS,
    SEED,
    SIDE,
    STEPS,
    TXT,
    VEC,
    WORDS,
    heat,
    sampled,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- Word Ablation


def test_word_ablation_is_of_what_is_repainted(model, singles):
    """A word's number compared with Encoder Influence's velocities, on the repainted half."""
    clip, t5 = singles
    latent = LATENTS["half"]
    _, sentence, data, _ = WordAblation.execute(
        model, clip, t5, "at night", "a red circle", latent, 3.5, SEED, STEPS, "euler", "simple", "1", "night"
    ).result
    data = json.loads(data)
    txt, (night, dark) = (
        T5Encode.execute(t5, "a red circle")[0],
        (ClipEncode.execute(clip, text)[0] for text in ("at night", "at")),
    )
    velocities = []

    def ask(executor, model, conds, x, timestep, options):
        out = executor(model, conds, x, timestep, options)
        entry = conds[0][0]
        y = entry["model_conds"]["y"]
        other = {**entry, "model_conds": {**entry["model_conds"], "y": type(y)(dark.spans[0].tensor)}}
        velocities.append(
            [(x - each) / timestep[0] for each in (out[0], executor(model, [[other]], x, timestep, options)[0])]
        )
        return out

    watched = model.clone()
    watched.add_wrapper_with_key("calc_cond_batch", "by hand", ask)
    sampled(watched, join(night, txt, 3.5), latent=latent)
    v, without = (each[..., SIDE // 2 :] for each in velocities[0])
    found, expected = data["words"][0]["encoded again"][0], float((v - without).norm() / v.norm())
    assert found == pytest.approx(expected, rel=1e-3)
    diluted = float((velocities[0][0] - velocities[0][1]).norm() / velocities[0][0].norm())
    assert abs(diluted / expected - 1) > 1e-2, "what is kept must matter for this to mean anything"
    assert data["repainted"] == [0.5] and repainted_sentence([0.5]) in sentence


# ---- Token Heatmap


@pytest.mark.parametrize("kind", LATENTS)
def test_a_words_share_is_of_the_repainted_places(model, singles, kind):
    """From the same maps, which the mask does not change."""
    _, reading, _, _, data, _ = heat(model, singles, LATENTS[kind])
    mask = native.masks_in_use(model, join(VEC, TXT, 3.5), LATENTS[kind], torch.tensor([1.0, 0.0]))[0][:, 0]
    tokens = torch.nn.functional.avg_pool2d(mask[:, None], 2).flatten(1)  # [B, image]
    weights = tokens / tokens.sum(1, keepdim=True)
    maps = reading.maps.mean((0, 1))  # [B, words, image]
    expected = (maps * weights[:, None]).sum(-1)
    metadata = json.loads(data)
    for picture, each in enumerate(metadata["pictures"]):
        assert [each["shares"][word] for word in WORDS] == pytest.approx(expected[picture].tolist(), rel=1e-4)
    assert (maps[0] > 0).all() and metadata["repainted"] == pytest.approx(tokens.mean(1).tolist())
    plain = maps.mean((0, 2))
    assert (expected.mean(0) / plain - 1).abs().max() > 1e-4, "what is kept must matter for this to mean anything"


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_a_words_mask_is_of_the_repainted_places(model, singles, how):
    _, reading, masks, *_ = heat(model, singles, LATENTS["half"], masks=how)
    height, width = reading.size
    right = reading.maps.mean((0, 1))[0].unflatten(-1, reading.size)[..., width // 2 :].flatten(1)
    # The mask at the centre of each token of 16 x 16 pixels.
    given = masks[0, ..., masks.shape[-1] // 2 :].unflatten(1, (height, 16)).unflatten(3, (-1, 16))
    given = given.mean((2, 4)).flatten(1)
    assert not masks[..., : masks.shape[-1] // 2].any()
    for own, values in zip(right, given, strict=True):
        if how == "hard":
            assert set(values.tolist()) == {0.0, 1.0} and own[values == 1].min() > own[values == 0].max()
            assert torch.equal(values.bool(), otsu(masks_of(own[None, None]))[0, 0])
        else:
            assert values.argmax() == own.argmax() and values.argmin() == own.argmin()
