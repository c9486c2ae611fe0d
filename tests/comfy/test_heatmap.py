"""Token Heatmap in the real model: every map is the dense softmax's, and the picture is the same to the last bit."""

import comfy.ldm.modules.attention as attention
import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom

import nodes
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.heat import lse
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import GROUPS, Choice, maps, masks, masses, otsu
from flux_duet.nodes.sample.attention import with_heads
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

HEIGHT, WIDTH = 10, 6  # of the latent: 5 x 3 tokens
LATENT = {"samples": torch.zeros(1, 16, HEIGHT, WIDTH)}
TEXT = "a red circle, and a redder ring at night"
BLOCKS, STEPS = 5, 3


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(scope="module")
def streams(singles):
    with torch.inference_mode():
        clip, t5 = singles
        return {
            "vec": ClipEncode.execute(clip, "on paper")[0],
            "txt": T5Encode.execute(t5, TEXT)[0],
            "weighted": T5Encode.execute(t5, "a red circle, and a (redder:2.5) ring at (night:0)", weights="attention")[
                0
            ],
            "long": T5Encode.execute(t5, "a blue star " * 90)[0],
        }


def sampled(model, positive, negative=None, cfg=1.0, latent=LATENT, sampler="euler") -> dict:
    return MMDiTSampler.execute(
        model,
        positive,
        latent,
        negative,
        cfg=cfg,
        seed=5,
        steps=STEPS,
        sampler=sampler,
        scheduler="simple",
        denoise=1.0,
    )[0]


def prompt(streams, txt="txt") -> list:
    return DualPrompt.execute(streams["vec"], streams[txt] if isinstance(txt, str) else txt, 3.5)[0]


def watched(model, txt, positive, words="", measure="mass", **options):
    ready, probe = Heatmap.execute(model, txt, words, measure, **options.pop("heatmap", {})).result
    latent = sampled(ready, positive, **options)
    return probe.reading(latent), latent


def dense(model, positive, rows: dict[str, list[int]], **options):
    """[steps, blocks, words, image]: the softmax of all logits, as an attention of ComfyUI's that makes them all."""
    found = []

    def attend(func, q, k, v, heads, *args, mask=None, **kwargs):
        logits = q.float() @ k.float().mT * q.shape[-1] ** -0.5 + (0 if mask is None else mask)
        share = logits.softmax(-1).mean(1)[0]
        txt = q.shape[2] - HEIGHT * WIDTH // 4
        assert torch.allclose(share.sum(-1), torch.ones(len(share)), atol=1e-6)
        found.append(torch.stack([share[txt:, each].sum(-1) for each in rows.values()]))
        return func(q, k, v, heads, *args, mask=mask, **kwargs)

    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = attend
    sampled(clone, positive, **options)
    return torch.stack(found).unflatten(0, (STEPS, BLOCKS))


ROWS = {"red": [1], "circle": [2], "redder": [6, 7], "night": [10]}


@pytest.fixture(params=["attention_pytorch", "attention_sub_quad"])
def backend(request, monkeypatch):
    """What ComfyUI computes attention with: on a graphics card PyTorch's, here by default its own."""
    chosen = getattr(attention, request.param)
    import comfy.ldm.flux.math

    monkeypatch.setattr(comfy.ldm.flux.math, "optimized_attention", chosen)
    return request.param


@pytest.mark.parametrize("txt", ["txt", "weighted"])
def test_every_map_is_the_dense_softmaxs(model, streams, backend, txt):
    ids = [token for chunk in streams[txt].source.tokens for token, _ in chunk]
    reading, _ = watched(model, streams[txt], prompt(streams, txt), "red, circle\nredder, night")
    tokens = {"red": "red", "circle": "circle", "redder": "redder", "night": "night"}
    assert reading.words == tuple(tokens)
    rows = rows_of(streams[txt], reading.words)
    expected = dense(model, prompt(streams, txt), rows)
    assert (reading.maps[:, :, 0] - expected).abs().max() < 1e-6
    assert (reading.maps.mean(-1)[:, :, 0] - reading.groups[:, :, 0, :4]).abs().max() < 1e-6
    exact = reading.groups[:, :, 0, :4]
    assert (exact - expected.mean(-1)).abs().max() < 1e-6
    assert len(ids) == 256


def rows_of(txt, words) -> dict[str, list[int]]:
    from flux_duet.nodes.probe.heat.tokens import wanted

    found = wanted(txt, ",".join(words))
    return {word: found.rows(number).tolist() for number, word in enumerate(words)}


@pytest.mark.parametrize("shape", [(1, 1, 1, 40), (40, 40), (2, 40, 40), (2, 3, 40, 40), None])
def test_shares_are_exact(shape):
    """On every attention of ComfyUI's: each is as dense to 1e-6, all of a row's add up to 1."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 3, 40, 16, generator=generator) for _ in range(3))
    mask = None if shape is None else torch.randn(shape, generator=generator)
    logits = q @ k.mT / 4 + (0 if mask is None else with_heads(mask, torch.float32))
    for name in ("attention_pytorch", "attention_basic", "attention_split", "attention_sub_quad"):
        watching, native = lse.Attention(), getattr(attention, name)
        for _ in range(2):
            out, found = watching(native, q, k, v, (3,), mask, {"skip_reshape": True})
            assert torch.equal(out, native(q, k, v, 3, mask=mask, skip_reshape=True))
            assert (found - logits.logsumexp(-1)).abs().max() < 2e-6
        share = lse.shares(q, k, found, None if mask is None else with_heads(mask, torch.float32))
        assert (share - logits.softmax(-1)).abs().max() < 1e-6 and (share.sum(-1) - 1).abs().max() < 2e-6


def test_a_fused_kernel_that_differs_is_not_used(monkeypatch):
    monkeypatch.setattr(lse, "_on_cpu", lambda q, k, v, mask: (v * 2, q[..., 0]))
    q, k, v = (torch.randn(1, 2, 9, 8) for _ in range(3))
    watching = lse.Attention()
    for _ in range(2):
        out, found = watching(attention.attention_pytorch, q, k, v, (2,), None, {"skip_reshape": True})
        assert torch.equal(out, attention.attention_pytorch(q, k, v, 2, skip_reshape=True))
        assert torch.allclose(found, (q @ k.mT / 8**0.5).logsumexp(-1), atol=1e-5)


# ---- the picture stays


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
def test_the_picture_is_the_same_to_the_last_bit(model, streams, backend, measure):
    positive = prompt(streams, "weighted")
    region = prompt(streams, Region.execute(streams["txt"], streams["long"], torch.ones(1, 4, 4).tril())[0])
    for each in (prompt(streams), positive, region):
        plain = sampled(model, each)["samples"]
        ready, _ = Heatmap.execute(model, streams["txt"], "red", measure).result
        assert torch.equal(sampled(ready, each)["samples"], plain)
    native = [
        nodes.KSampler().sample(
            each, 5, STEPS, 3.0, "heun", "simple", prompt(streams), prompt(streams, "long"), LATENT, 1.0
        )[0]["samples"]
        for each in (model, ready)
    ]
    assert torch.equal(*native)


def test_under_sampler_custom_advanced(model, streams):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    noise, sampler = custom.RandomNoise.execute(5)[0], custom.KSamplerSelect.execute("euler")[0]
    sigmas = custom.BasicScheduler.execute(ready, "simple", STEPS, 1.0)[0]
    guider = custom.BasicGuider.execute(ready, prompt(streams))[0]
    out = custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, LATENT)[0]
    expected, _ = watched(model, streams["txt"], prompt(streams), "red")
    assert torch.equal(probe.reading(out).maps, expected.maps)


def test_nothing_stays_patched_and_a_stopped_run_leaves_no_reading(model, streams, monkeypatch):
    ready, probe = Heatmap.execute(model, streams["txt"], "red", "flow").result
    before = repr(ready.model_options)
    sampled(ready, prompt(streams))
    assert repr(ready.model_options) == before and len(probe.runs) == 1
    flux, calls = ready.model.diffusion_model, []
    forward = flux._forward

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise comfy.model_management.InterruptProcessingException
        return forward(*args, **kwargs)

    monkeypatch.setattr(flux, "_forward", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sampled(ready, prompt(streams))
    monkeypatch.undo()
    assert repr(ready.model_options) == before and len(probe.runs) == 1
    assert torch.equal(sampled(model, prompt(streams))["samples"], sampled(ready, prompt(streams))["samples"])


def test_a_latent_of_another_run_is_told(model, streams):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    latent = sampled(ready, prompt(streams))
    other = sampled(model, prompt(streams, "long"))
    assert probe.reading(latent).words == ("red",)
    with pytest.raises(ValueError, match="does not come from a run that this probe has seen .1 so far"):
        ShowHeatmap.execute(probe, other)


def test_a_model_that_shows_no_attention_is_told(model, streams, monkeypatch):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    monkeypatch.setattr(model.model.diffusion_model, "forward_orig", lambda img, *args, **kwargs: torch.zeros_like(img))
    latent = sampled(ready, prompt(streams))
    assert torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"]), "the picture is whole"
    with pytest.raises(ValueError, match="attention was never seen.*wrapped models"):
        ShowHeatmap.execute(probe, latent)


# ---- with what else there is


def test_the_negative_and_nag_are_not_the_picture(model, streams):
    alone, _ = watched(model, streams["txt"], prompt(streams), "red")
    for negative in ("long", "txt"):  # apart, and in one batch with the positive
        other = prompt(streams, negative)
        beside, _ = watched(model, streams["txt"], prompt(streams), "red", negative=other, cfg=1.0001)
        assert (beside.maps[0].float() - alone.maps[0].float()).abs().max() < 1e-3
    nag = prompt(streams, NegativeTxt.execute(streams["txt"], streams["long"], alpha=1e-6)[0])
    steered, _ = watched(model, streams["txt"], nag, "red")
    assert (steered.groups - alone.groups).abs().max() < 1e-4


def test_regions_are_seen_as_they_are(model, streams):
    """Where the base is not looked at, its words have nothing; elsewhere what they have with the base alone."""
    mask = torch.zeros(1, 5, 3)
    mask[:, :2] = 1
    placed = prompt(streams, Region.execute(streams["txt"], streams["long"], mask, base_ratio=0.0)[0])
    reading, _ = watched(model, streams["txt"], placed, "red")
    first = reading.maps[0, 0, 0, 0].float().unflatten(-1, (5, 3))
    alone, _ = watched(model, streams["txt"], prompt(streams), "red")
    assert not first[:2].any()
    assert torch.allclose(first[2:], alone.maps[0, 0, 0, 0].float().unflatten(-1, (5, 3))[2:], atol=1e-4)
    assert reading.groups[0, 0, 0, 1 + GROUPS.index("other texts")] > 0.01


def test_a_batch_has_a_map_for_each_picture(model, streams):
    latent = {"samples": torch.zeros(2, 16, HEIGHT, WIDTH)}
    reading, _ = watched(model, streams["txt"], prompt(streams), "red", latent=latent)
    assert reading.maps.shape == (STEPS, BLOCKS, 2, 1, 15)
    assert not torch.equal(reading.maps[:, :, 0], reading.maps[:, :, 1])


def test_every_nth_step_and_solvers_that_ask_inside_a_step(model, streams):
    reading, _ = watched(model, streams["txt"], prompt(streams), "red", heatmap={"every": 2})
    assert reading.numbers == (0, 2)
    whole, _ = watched(model, streams["txt"], prompt(streams), "red")
    assert torch.equal(reading.maps, whole.maps[[0, 2]])
    heun, _ = watched(model, streams["txt"], prompt(streams), "red", sampler="heun")
    assert heun.numbers == (0, 1, 2)


def test_beside_encoder_influence(model, streams):
    """What another probe asks for itself is not the picture's."""
    from flux_duet.nodes.probe.influence.nodes import Influence

    alone, latent = watched(model, streams["txt"], prompt(streams), "red")
    for first, second in ((Heatmap, Influence), (Influence, Heatmap)):
        ready, probe = model, None
        for node in (first, second):
            if node is Heatmap:
                ready, probe = Heatmap.execute(ready, streams["txt"], "red").result
            else:
                ready = Influence.execute(ready, "zeros", 1)[0]
        out = sampled(ready, prompt(streams))
        assert torch.equal(out["samples"], latent["samples"])
        assert torch.equal(probe.reading(out).maps, alone.maps)


def test_under_apply_duet_and_with_a_lora(model, streams):
    positive = prompt(streams, "weighted")
    expected, latent = watched(model, streams["weighted"], positive, "red")
    for first, second in ((Heatmap, ApplyDuet), (ApplyDuet, Heatmap)):
        ready, probe = model, None
        for node in (first, second):
            if node is Heatmap:
                ready, probe = Heatmap.execute(ready, streams["weighted"], "red").result
            else:
                ready = ApplyDuet.execute(ready)[0]
        out = nodes.KSampler().sample(ready, 5, STEPS, 1.0, "euler", "simple", positive, positive, LATENT, 1.0)[0]
        assert torch.equal(out["samples"], latent["samples"])
        assert torch.equal(probe.reading(out).maps, expected.maps)


# ---- other measures


def test_flow_is_the_length_of_what_a_word_adds(model, streams):
    """By hand, from the block's own parts: gate * W_o(sum of shares * values), for each image token."""
    flux = model.model.diffusion_model
    seen = {}

    def attend(func, q, k, v, heads, *args, mask=None, **kwargs):
        options = kwargs["transformer_options"]
        block = options["block_index"] + 2 * (options["block_type"] == "single")
        share = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
        rows = rows_of(streams["txt"], ["redder"])["redder"]
        added = (share[:, :, 256:, rows] @ v[:, :, rows]).transpose(1, 2).flatten(2)
        module = [*flux.double_blocks, *flux.single_blocks][block]
        if block < 2:
            moved = module.img_attn.proj(added) - module.img_attn.proj(torch.zeros_like(added))
            gate = module.img_mod(vecs[block])[0].gate
        else:
            wide = torch.nn.functional.pad(added, (0, module.mlp_hidden_dim))
            moved = module.linear2(wide) - module.linear2(torch.zeros_like(wide))
            gate = module.modulation(vecs[block])[0].gate
        seen.setdefault(block, []).append((gate * moved).norm(dim=-1)[0])
        return func(q, k, v, heads, *args, mask=mask, **kwargs)

    vecs, clone = {}, model.clone()

    def look(number, args, extra):
        vecs[number] = args["vec"]
        return extra["original_block"](args)

    for number in range(BLOCKS):
        kind, index = ("double_block", number) if number < 2 else ("single_block", number - 2)
        clone.set_model_patch_replace(lambda args, extra, number=number: look(number, args, extra), "dit", kind, index)
    clone.model_options["transformer_options"]["optimized_attention_override"] = attend
    sampled(clone, prompt(streams))
    expected = torch.stack([torch.stack(seen[block]) for block in range(BLOCKS)], 1)
    reading, _ = watched(model, streams["txt"], prompt(streams), "redder", "flow")
    assert torch.allclose(reading.maps[:, :, 0, 0], expected, rtol=1e-4, atol=1e-6)


def test_output_is_a_share_among_the_words_and_the_rest(model, streams):
    """By hand, from what the attention gives; with one word too, which has the rest to be held against."""
    rows, seen = rows_of(streams["txt"], ["red", "circle"]), []
    ids = [token for chunk in streams["txt"].source.tokens for token, _ in chunk]
    from flux_duet.nodes.probe.heat.tokens import wanted

    def attend(func, *args, **kwargs):
        out = func(*args, **kwargs)
        seen.append(out[0])
        return out

    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = attend
    sampled(clone, prompt(streams))
    for words in ("red", "red, circle"):
        found = wanted(streams["txt"], words)
        named = [rows[word] for word in found.words]
        rest = sorted(set(range(ids.index(1))) - {row for each in named for row in each})  # other words, signs too
        concepts = [torch.stack([out[each].mean(0) for each in (*named, rest)]) for out in seen]
        scores = [each @ out[256:].mT / out.shape[1] ** 0.5 for each, out in zip(concepts, seen, strict=True)]
        expected = torch.stack([each.softmax(0)[:-1] for each in scores]).unflatten(0, (STEPS, BLOCKS))
        reading, _ = watched(model, streams["txt"], prompt(streams), words, "output")
        assert torch.allclose(reading.maps[:, :, 0], expected, atol=1e-6)
    assert masks(maps(watched(model, streams["txt"], prompt(streams), "red", "output")[0], Choice())).std() > 0.1


# ---- shown


def test_show_heatmap(model, streams, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ready, probe = Heatmap.execute(model, streams["txt"]).result
    latent = sampled(ready, prompt(streams))
    out = ShowHeatmap.execute(probe, latent, torch.rand(1, 80, 48, 3), save_as="maps/mine")
    picture, found, words, told, first = out.result
    assert words.split("\n") == ["a", "red", "circle", "and", "redder", "ring", "at", "night"]
    assert found.shape == (8, 80, 48) and found.min() == 0 and found.max() == 1
    assert torch.equal(first, found[:1])
    assert picture.ndim == 4 and '"pads"' in told
    from safetensors.torch import load_file

    assert load_file(tmp_path / "maps" / "mine.safetensors")["maps"].shape == (STEPS, BLOCKS, 1, 8, 15)
    with pytest.raises(ValueError, match="leads out of the output folder"):
        ShowHeatmap.execute(probe, latent, save_as="../mine")
    hard = ShowHeatmap.execute(probe, latent, masks="hard")[1]
    assert hard.shape == (8, 80, 48) and set(hard.unique().tolist()) == {0.0, 1.0}


def test_shares_of_all_there_is_add_up(model, streams):
    reading, _ = watched(model, streams["txt"], prompt(streams))
    shares = masses(reading, Choice())
    assert list(shares)[-5:] == list(GROUPS) and 0.5 < shares["pads"] < 1 and shares["other texts"] == 0
    everything = dense(model, prompt(streams), {"text": list(range(256))})
    parts = sum(shares.values()) - shares["all text"]
    assert shares["all text"] == pytest.approx(everything.mean().item(), abs=1e-5) == pytest.approx(parts, abs=1e-5)


def test_words_may_overlap(model, streams):
    reading, _ = watched(model, streams["txt"], prompt(streams), "red, red circle, circle")
    red, both, circle = reading.maps.float().unbind(3)
    assert torch.allclose(both, red + circle, atol=1e-3)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"blocks": "none"}, "no block is chosen"),
        ({"first_step": 9}, "no step is"),
        ({"blocks": "18"}, "names block 18, but this model has blocks 0 to 4"),
    ],
)
def test_a_choice_of_nothing_is_told(model, streams, options, words):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    latent = sampled(ready, prompt(streams))
    with pytest.raises(ValueError, match=words):
        ShowHeatmap.execute(probe, latent, **options)


def test_words_that_are_not_there_are_told(model, streams):
    with pytest.raises(ValueError, match="no word 'blue'. It says: a red circle"):
        Heatmap.execute(model, streams["txt"], "red, blue")
    with pytest.raises(ValueError, match="no word 'edde'"):
        Heatmap.execute(model, streams["txt"], "edde")


@pytest.mark.parametrize(
    "text", ["a red circle", "a (red:1.3) circle", "a ((red) circle:0.7)", "a  red\n circle", "A Red CIRCLE"]
)
def test_words_are_found_as_they_read(singles, text):
    """However they are written, they are the rows of these tokens."""
    from flux_duet.nodes.probe.heat.tokens import wanted

    txt = T5Encode.execute(singles[1], text)[0]
    ids = [token for chunk in txt.source.tokens for token, _ in chunk]
    found = wanted(txt, "red circle, circle")
    spelled = T5Encode.execute(singles[1], "red circle" if "A R" not in text else "Red CIRCLE")[0]
    expected = [token for chunk in spelled.source.tokens for token, _ in chunk]
    expected = expected[: expected.index(1)]
    assert [ids[row] for row in found.rows(0).tolist()] == expected
    assert set(found.rows(1).tolist()) < set(found.rows(0).tolist())


@pytest.mark.parametrize(
    "text, word",
    [
        (r"a \(red\) circle", "(red) circle"),
        ("un cafe\u0301 noir", "caf\u00e9"),
        ("un caf\u00e9 noir", "cafe\u0301 noir"),
    ],
)
def test_escapes_and_accents_are_as_they_read(singles, text, word):
    from flux_duet.nodes.probe.heat.tokens import wanted

    txt = T5Encode.execute(singles[1], text)[0]
    rows = wanted(txt, word).rows(0)
    assert 1 <= len(rows) < 12 and wanted(txt, "").words


def test_otsu_parts_two_levels():
    found = torch.tensor([[0.1, 0.2, 0.15], [0.8, 0.9, 0.12]])
    assert otsu(found).tolist() == [[False, False, False], [True, True, False]]
    assert torch.equal(masks(torch.tensor([[[2.0, 4.0]]])), torch.tensor([[[0.0, 1.0]]]))
