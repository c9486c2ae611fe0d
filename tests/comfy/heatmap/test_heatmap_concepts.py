"""Concept Heatmap: its maps equal a plain dense ConceptAttention, and the picture stays the same bit for bit."""

from functools import partial

import comfy.sd
import pytest
import torch
from comfy.ldm.flux.math import apply_rope

import nodes
from flux_duet.nano import layouts
from flux_duet.nodes.condition.blocks import Blocks
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.nodes import ConceptHeatmap, Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps, masses
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.heatmap.runs import HEIGHT, STEPS, WIDTH, prompt, sampled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

WORDS, BACKGROUND = ("dragon", "red"), ("sky", "ground")
TYPED = ", ".join(WORDS), ", ".join(BACKGROUND)
IMAGE = HEIGHT * WIDTH // 4


def watched(model, t5, positive):
    ready, probe = ConceptHeatmap.execute(model, t5, *TYPED).result
    latent = sampled(ready, positive)
    return probe.reading(latent), latent


def concept_rows(t5) -> torch.Tensor:
    return torch.stack([T5Encode.execute(t5, each)[0].spans[0].tensor[0, 0] for each in (*WORDS, *BACKGROUND)])


def mixed(norm, module, rows, by):
    return module((1 + by.scale) * norm(rows) + by.shift)


def dense_block(block, args, concepts, concept_vec):
    """(the next concepts, softmax scores [B, N, image]) from whole attention matrices.

    The text, the image and the concepts are put together as the authors' block does; nothing attends to concepts, which
    have a vec of their own.
    """
    img, txt, vec, pe = args["img"], args["txt"], args["vec"], args["pe"]
    heads, tokens = block.num_heads, txt.shape[1]
    (img1, _), (txt1, _), (own1, own2) = block.img_mod(vec), block.txt_mod(vec), block.txt_mod(concept_vec)
    sides = []
    for rows, norm, attn, by in (
        (txt, block.txt_norm1, block.txt_attn, txt1),
        (img, block.img_norm1, block.img_attn, img1),
        (concepts, block.txt_norm1, block.txt_attn, own1),
    ):
        q, k, v = mixed(norm, attn.qkv, rows, by).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        sides.append((*attn.norm(q, k, v), v))

    def attended(text, where):
        q, k, v = (torch.cat(pair, 2) for pair in zip(text, sides[1], strict=True))
        q, k = apply_rope(q, k, where)
        return ((q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)

    image = attended(sides[0], pe)[:, tokens:]
    zero = pe[:, :, :1].expand(-1, -1, concepts.shape[1], -1, -1, -1)  # the text's ids are zero, as the concepts'
    own = attended(sides[2], torch.cat((zero, pe[:, :, tokens:]), 2))[:, : concepts.shape[1]]
    concepts = concepts + own1.gate * block.txt_attn.proj(own)
    concepts = concepts + own2.gate * mixed(block.txt_norm2, block.txt_mlp, concepts, own2)
    return concepts, (own.float() @ image.float().mT).softmax(1)


def vecs_without_clip(model, positive, sampled) -> list[torch.Tensor]:
    """The vec of each forward of the same run with zeros as the CLIP vector."""
    found, clone = [], model.clone()

    def keep(args, extra):
        found.append(args["vec"])
        return extra["original_block"](args)

    clone.set_model_patch_replace(keep, "dit", "double_block", 0)
    sampled(clone, [[txt, {**each, "pooled_output": each["pooled_output"] * 0}] for txt, each in positive])
    return found


def dense(model, t5, positive, sampled=sampled) -> torch.Tensor:
    """[steps, double blocks, B, words, image] of the same run. The concepts' CLIP vector is zeros, as published."""
    found, flux, clone = [], model.model.diffusion_model, model.clone()
    state = {"vecs": iter(vecs_without_clip(model, positive, sampled))}

    def around(number, args, extra):
        if number == 0:
            state["vec"] = next(state["vecs"])
            state["rows"] = flux.txt_in(concept_rows(t5).to(args["txt"])).expand(len(args["txt"]), -1, -1)
        state["rows"], scores = dense_block(flux.double_blocks[number], args, state["rows"], state["vec"])
        found.append(scores[:, : len(WORDS)])
        return extra["original_block"](args)

    for number in range(len(flux.double_blocks)):
        clone.set_model_patch_replace(partial(around, number), "dit", "double_block", number)
    sampled(clone, positive)
    return torch.stack(found).unflatten(0, (-1, len(flux.double_blocks)))


def test_maps_are_those_of_a_dense_implementation(model, singles, streams, backend):
    reading, _ = watched(model, singles[1], prompt(streams))
    expected = dense(model, singles[1], prompt(streams))
    assert reading.words == WORDS and reading.maps.shape == expected.shape and len(expected) == STEPS
    assert (reading.maps - expected).abs().max() < 1e-5
    assert (expected[..., 0, :] - expected[..., 1, :]).abs().max() > 1e-4, "the words differ"
    shares = masses(reading, Choice())
    assert list(shares) == [*WORDS, "background"] and sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert shares["dragon"] == pytest.approx(expected[..., 0, :].mean().item(), abs=1e-5)


def test_in_a_batch_and_beside_a_negative(model, singles, streams):
    """Only the positive is recorded, evaluated together with the negative."""
    latent = {"samples": torch.zeros(2, 16, HEIGHT, WIDTH)}
    run = partial(sampling.sampled, latent=latent, steps=STEPS)
    ready, probe = ConceptHeatmap.execute(model, singles[1], *TYPED).result
    out = run(ready, prompt(streams))
    expected = dense(model, singles[1], prompt(streams), run)
    assert expected.shape == (STEPS, 2, 2, len(WORDS), IMAGE) and not torch.equal(expected[:, :, 0], expected[:, :, 1])
    assert (probe.reading(out).maps - expected).abs().max() < 1e-5
    for negative in ("weighted", "long"):
        both = prompt(streams), prompt(streams, negative)
        out = run(ready, *both, cfg=1.0001)
        assert torch.equal(out["samples"], run(model, *both, cfg=1.0001)["samples"])
        assert probe.reading(out).role == "positive"
        assert (probe.reading(out).maps - expected).abs().max() < 1e-3


def test_the_picture_is_the_same_to_the_last_bit(model, singles, streams, backend):
    region = prompt(streams, Region.execute(streams["txt"], streams["long"], torch.ones(1, 4, 4).tril())[0])
    ready, probe = ConceptHeatmap.execute(model, singles[1], "dragon").result
    before = repr(ready.model_options)
    for each in (prompt(streams), prompt(streams, "weighted"), region):
        latent = sampled(ready, each)
        assert torch.equal(latent["samples"], sampled(model, each)["samples"])
        assert probe.reading(latent).maps.std() > 0
    assert repr(ready.model_options) == before


def test_it_reads_the_image_as_a_region_has_made_it(model, singles, streams):
    """With a region the image's attention output is another; the maps equal those from what the blocks put out."""
    region = prompt(streams, Region.execute(streams["txt"], streams["long"], torch.ones(1, 4, 4).tril())[0])
    plain, with_region = (watched(model, singles[1], each)[0].maps for each in (prompt(streams), region))
    assert (plain - with_region).abs().max() > 1e-5
    whole = prompt(streams, Region.execute(streams["txt"], streams["long"], torch.zeros(1, 4, 4))[0])
    nothing, _ = watched(model, singles[1], whole)
    assert nothing.maps.shape == plain.shape and nothing.maps.isfinite().all()


def test_an_area_has_its_maps_there_and_nothing_elsewhere(model, singles, streams):
    """The upper 4 of the latent's 10 rows: 2 of 5 rows of image tokens."""
    positive = nodes.ConditioningSetArea().append(prompt(streams), 8 * WIDTH, 32, 0, 0, 1.0)[0]
    reading, latent = watched(model, singles[1], positive)
    inside = reading.maps[..., :6]
    assert inside.min() > 0 and not reading.maps[..., 6:].any() and reading.acts == pytest.approx(0.4)
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])
    shares = masses(reading, Choice())
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5), "of the area"
    assert shares["red"] == pytest.approx(inside[..., 1, :].mean().item(), abs=1e-5)


def test_beside_token_heatmap(model, singles, streams):
    alone = watched(model, singles[1], prompt(streams))[0].maps
    ready, words = Heatmap.execute(model, streams["txt"], "red").result
    ready, concepts = ConceptHeatmap.execute(ready, singles[1], *TYPED).result
    latent = sampled(ready, prompt(streams))
    assert torch.equal(concepts.reading(latent).maps, alone)
    only, probe = Heatmap.execute(model, streams["txt"], "red").result
    assert torch.equal(words.reading(latent).maps, probe.reading(sampled(only, prompt(streams))).maps)


def test_of_flux_1_s_depth_the_published_blocks(save_models, singles, streams):
    """19 double and 38 single blocks: 14 to 17 are kept, equal to the dense ones, and shown by `all`."""
    deep = comfy.sd.load_diffusion_model(str(save_models(layouts.Shape(double=19, single=38))["flux"]))
    reading, latent = watched(deep, singles[1], prompt(streams))
    expected = dense(deep, singles[1], prompt(streams))
    assert reading.recorded == (14, 15, 16, 17) and reading.maps.shape == expected.shape
    kept = list(reading.recorded)
    assert (reading.maps[:, kept] - expected[:, kept]).abs().max() < 1e-5
    assert not reading.maps[:, 18].any()
    every = maps(reading, Choice()).flatten(-2)
    assert torch.allclose(every, expected[:, kept].mean((0, 1)), atol=1e-5)
    with pytest.raises(ValueError, match="no block is chosen.*blocks 14, 15, 16, 17"):
        maps(reading, Choice(blocks=Blocks.parse("3")))
    assert torch.equal(latent["samples"], sampled(deep, prompt(streams))["samples"])


def test_in_half_precision(save_models, singles, streams):
    half = comfy.sd.load_diffusion_model(str(save_models(dtype=torch.bfloat16)["flux"]))
    half.set_model_compute_dtype(torch.bfloat16)
    reading, latent = watched(half, singles[1], prompt(streams))
    assert torch.equal(latent["samples"], sampled(half, prompt(streams))["samples"])
    assert sum(masses(reading, Choice()).values()) == pytest.approx(1, abs=1e-3)
    assert (reading.maps - dense(half, singles[1], prompt(streams))).abs().max() < 0.02


def test_under_a_modulation_table(model, singles, streams):
    plain, _ = watched(model, singles[1], prompt(streams))
    ready, probe = ConceptHeatmap.execute(model, singles[1], *TYPED).result
    latent = sampled(ready, prompt(streams), modulation_table=True)
    assert (probe.reading(latent).maps - plain.maps).abs().max() < 1e-5


def test_of_a_picture_beside_a_reference(model, singles, streams):
    """Kontext's reference tokens follow the picture's: they get no map, and the concepts do not read them."""
    positive = [[txt, {**values, "reference_latents": [torch.randn(1, 16, 4, 4)]}] for txt, values in prompt(streams)]
    reading, latent = watched(model, singles[1], positive)
    assert reading.maps.shape[-1] == IMAGE and reading.maps.min() > 0
    assert torch.equal(latent["samples"], sampled(model, positive)["samples"])
    assert not torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"])


def test_it_is_shown_and_stored(model, singles, streams, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    node = {"blocks": "1", "every": 2}
    ready, probe = ConceptHeatmap.execute(model, singles[1], "dragon\nred", "sky", **node).result
    latent = sampled(ready, prompt(streams))
    picture, found, words, data, _ = ShowHeatmap.execute(probe, latent).result
    assert words == "dragon\nred" and found.shape[0] == 2 and picture.ndim == 4 and '"background"' in data
    reading, choice = probe.reading(latent), Choice(first=1)
    assert reading.numbers == (0, 2) and reading.recorded == (1,)
    stored.store(reading, tmp_path)
    seen = stored.look(tmp_path / f"{reading.name}.safetensors", choice)
    assert torch.allclose(seen.maps, maps(reading, choice)[0], atol=1e-6)
    assert seen.shares == pytest.approx(masses(reading, choice, 0), abs=1e-6)


@pytest.mark.parametrize(
    "words, background, node, message",
    [
        ("", "sky", {}, "got 0 `words`"),
        ("dragon", " ", {}, "expected at least two"),
        ("Sky", "sky", {}, "expected at least two"),
        ("dragon", "sky", {"blocks": "single"}, "names no double block; expected some of 0 to 1"),
        ("dragon", "sky", {"blocks": "14-17"}, "names block 17, but this model has blocks 0 to 4"),
    ],
)
def test_what_cannot_be_recorded_is_reported(model, singles, words, background, node, message):
    with pytest.raises(ValueError, match=message):
        ConceptHeatmap.execute(model, singles[1], words, background, **node)
    with pytest.raises(ValueError, match="has no T5"):
        ConceptHeatmap.execute(model, singles[0], "dragon")
