"""Token Heatmap together with controls and other probes, and its other measures."""

import pytest
import torch

import nodes
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.nodes.probe.heat.reading import GROUPS, Choice, maps, masks
from flux_duet.nodes.sample.nodes import ApplyDuet
from flux_duet.tests.comfy.heatmap.runs import BLOCKS, HEIGHT, LATENT, STEPS, WIDTH, prompt, rows_of, sampled, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


# ---- with controls and probes


def test_the_negative_and_nag_are_not_the_picture(model, streams):
    alone, _ = watched(model, streams["txt"], prompt(streams), "red")
    for negative in ("long", "txt"):  # separately, and in one batch with the positive
        other = prompt(streams, negative)
        together, _ = watched(model, streams["txt"], prompt(streams), "red", negative=other, cfg=1.0001)
        assert (together.maps[0].float() - alone.maps[0].float()).abs().max() < 1e-3
    nag = prompt(streams, NegativeTxt.execute(streams["txt"], streams["long"], alpha=1e-6)[0])
    steered, _ = watched(model, streams["txt"], nag, "red")
    assert (steered.groups - alone.groups).abs().max() < 1e-4


def test_regions_are_seen_as_they_are(model, streams):
    """Where the base prompt is not attended to, its words have 0; elsewhere the same shares as with the base alone."""
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
    """Another probe's extra evaluations do not count."""
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
    """Reference from the block's own parts: gate * W_o(sum of shares * values), for each image token."""
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
    """Reference from the attention's output; also with one word, which is compared with the rest of the prompt."""
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
        rest = sorted(set(range(ids.index(1))) - {row for each in named for row in each})  # punctuation included
        concepts = [torch.stack([out[each].mean(0) for each in (*named, rest)]) for out in seen]
        scores = [each @ out[256:].mT / out.shape[1] ** 0.5 for each, out in zip(concepts, seen, strict=True)]
        expected = torch.stack([each.softmax(0)[:-1] for each in scores]).unflatten(0, (STEPS, BLOCKS))
        reading, _ = watched(model, streams["txt"], prompt(streams), words, "output")
        assert torch.allclose(reading.maps[:, :, 0], expected, atol=1e-6)
    assert masks(maps(watched(model, streams["txt"], prompt(streams), "red", "output")[0], Choice())).std() > 0.1
