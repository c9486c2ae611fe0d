"""Changes of a CLIP act as natively: LoRAs, skipped layers, hooks, other families."""

import comfy.hooks
import comfy.sd
import pytest
import torch
from comfy import sd1_clip, sdxl_clip
from comfy.text_encoders import genmo, lt, pixart_t5, sd3_clip
from comfy_extras.nodes_hooks import CreateHookKeyframe, SetClipHooks, SetHookKeyframes
from safetensors.torch import load_file, save_file

from flux_duet.nano.layouts import Shape
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.tests.comfy import native
from nodes import CLIPSetLastLayer

pytestmark = pytest.mark.usefixtures("as_executed")

CLIP_TEXT, T5_TEXT = "at (night:1.2)", "a (red:1.3) circle"
LAYERS = {"clip_l": "text_model.encoder.layers.{}.mlp.fc1", "t5xxl": "encoder.block.{}.layer.1.DenseReluDense.wi_0"}


@pytest.fixture(params=["dual", "singles"])
def clips(request, dual, singles):
    """The CLIPs for CLIP-L Encode and T5 Encode."""
    return (dual, dual) if request.param == "dual" else singles


def ours(clip, t5) -> list:
    return DualPrompt.execute(encode_clip(clip, CLIP_TEXT), encode_t5(t5, T5_TEXT)[0], 3.5)[0]


def theirs(clip) -> list:
    return native.encode(clip, CLIP_TEXT, T5_TEXT)


def differs(one: list, other: list) -> tuple[bool, bool]:
    """Whether (vec, txt) of the first entries differ."""
    (txt, extras), (other_txt, others) = one[0], other[0]
    return not torch.equal(extras["pooled_output"], others["pooled_output"]), not torch.equal(txt, other_txt)


def random_lora(seed: int = 0, layers=LAYERS) -> dict[str, torch.Tensor]:
    """Rank 2 on the first feed-forward layer of every block of both tiny encoders."""
    generator = torch.Generator().manual_seed(seed)
    sides = {"lora_up": (256, 2), "lora_down": (2, 64)}
    return {
        f"text_encoders.{name}.transformer.{layer.format(block)}.{side}.weight": torch.randn(shape, generator=generator)
        for name, layer in layers.items()
        for block in (0, 1)
        for side, shape in sides.items()
    }


def with_lora(clip, lora, strength: float = 1.0):
    return comfy.sd.load_lora_for_models(None, clip, lora, 0.0, strength)[1]


def test_lora(dual, clips):
    lora = random_lora()
    before, native_lora = ours(*clips), theirs(with_lora(dual, lora))
    patched = ours(*(with_lora(clip, lora) for clip in clips))
    native.assert_same(patched, native_lora)
    assert differs(patched, before) == (True, True)
    native.assert_same(ours(*clips), before)


def test_one_lora_after_another(dual):
    """Two LoRAs share the weights in memory, where only one of them can be in place."""
    one, two = with_lora(dual, random_lora(1)), with_lora(with_lora(dual, random_lora(1)), random_lora(2), 0.5)
    expected = {id(clip): theirs(clip) for clip in (one, two, dual)}
    for clip in (two, one, dual, two, dual, one):
        native.assert_same(ours(clip, clip), expected[id(clip)])


@pytest.mark.parametrize("name", LAYERS)
def test_lora_of_one_encoder_leaves_the_other(clips, name):
    lora = random_lora(layers={name: LAYERS[name]})
    changed = differs(ours(*(with_lora(clip, lora) for clip in clips)), ours(*clips))
    assert changed == (name == "clip_l", name == "t5xxl")


@pytest.mark.parametrize("layer", [-1, -2, -24])
def test_clip_set_last_layer(dual, clips, layer):
    def at_layer(clip):
        return CLIPSetLastLayer().set_last_layer(clip, layer)[0]

    result = ours(*map(at_layer, clips))
    native.assert_same(result, theirs(at_layer(dual)))
    assert differs(result, ours(*clips)) == (False, layer == -2)  # beyond the depth, ComfyUI takes the last


def keyframes(*strengths: tuple[float, float]):
    group = None
    for start, strength in strengths:
        (group,) = CreateHookKeyframe().create_hook_keyframe(strength, start, group)
    return group


def hooks(*strengths: tuple[float, float], seed: int = 0) -> comfy.hooks.HookGroup:
    """A LoRA as a hook, at these (start, strength)s of a run."""
    group = comfy.hooks.create_hook_lora(random_lora(seed), 1.0, 1.0)
    return SetHookKeyframes().set_hook_keyframes(group, keyframes(*strengths) if strengths else None)[0]


def hooked(clip, group, schedule=False, apply=True):
    return SetClipHooks().apply_hooks(clip, schedule, apply, group)[0]


@pytest.mark.parametrize("apply", [True, False], ids=["hooks ride along", "hooks for CLIP alone"])
@pytest.mark.parametrize("schedule", [True, False], ids=["scheduled", "at once"])
def test_hooks(dual, clips, schedule, apply):
    group = hooks((0.0, 0.2), (0.3, 1.0), (0.8, 0.0))
    before = ours(*clips)
    expected = theirs(hooked(dual, group, schedule, apply))
    result = ours(*(hooked(clip, group, schedule, apply) for clip in clips))
    native.assert_same(result, expected)
    times = [(extras.get("clip_start_percent"), extras.get("clip_end_percent")) for _, extras in result]
    assert times == ([(0.0, 0.3), (0.3, 0.8), (0.8, 1.0)] if schedule else [(None, None)])
    assert all(("hooks" in extras) is apply for _, extras in result)
    assert differs(result, before) == (True, True)
    native.assert_same(ours(*clips), before)


def test_hooks_of_both_clips_are_combined(singles):
    groups = hooks(seed=1), hooks(seed=2)
    ((_, extras),) = ours(*(hooked(clip, group) for clip, group in zip(singles, groups, strict=True)))
    assert set(extras["hooks"].hooks) == {hook for group in groups for hook in group.hooks}


def test_two_schedules_meet(singles):
    """Each stream changes at its own times; every part of the run has its own encodings."""
    clip, t5 = (
        hooked(single, hooks(*strengths, seed=3), schedule=True, apply=False)
        for single, strengths in zip(singles, ([(0.0, 1.0), (0.5, 0.1)], [(0.0, 0.3), (0.7, 0.9)]), strict=True)
    )
    vecs = [span.tensor for span in encode_clip(clip, CLIP_TEXT).spans]
    txts = [span.tensor for span in encode_t5(t5, T5_TEXT)[0].spans]
    parts = [(vecs[0], txts[0], 0.0, 0.5), (vecs[1], txts[0], 0.5, 0.7), (vecs[1], txts[1], 0.7, 1.0)]
    expected = [
        [txt, {"pooled_output": vec, "clip_start_percent": start, "clip_end_percent": end, "guidance": 3.5}]
        for vec, txt, start, end in parts
    ]
    native.assert_same(ours(clip, t5), expected)
    assert not torch.equal(vecs[0], vecs[1]) and not torch.equal(txts[0], txts[1])


@pytest.fixture(scope="module")
def projected(save_models, tmp_path_factory):
    """A CLIP-L that brings a projection: Stable Diffusion XL projects, FLUX.1 does not."""
    paths = save_models(Shape(clip_layers=3))
    path = tmp_path_factory.mktemp("projected") / "clip_l.safetensors"
    weights = load_file(paths["clip_l"])
    width = weights["text_model.final_layer_norm.weight"].shape[0]
    save_file({**weights, "text_projection.weight": torch.randn(width, width)}, path)
    return {**paths, "clip_l": path}


SMALL_CLIP_G = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 3, "intermediate_size": 64}
HOLD_CLIP_L = {
    "SD1": (sd1_clip.SD1ClipModel, sd1_clip.SD1Tokenizer),
    "SDXL": (sdxl_clip.SDXLClipModel, sdxl_clip.SDXLTokenizer),
    "SD3": (sd3_clip.sd3_clip(clip_g=False, t5=False), sd3_clip.SD3Tokenizer),
}
HOLD_T5 = {
    "SD3": (sd3_clip.sd3_clip(clip_l=False, clip_g=False), sd3_clip.SD3Tokenizer),
    "SD3 with mask": (sd3_clip.sd3_clip(clip_l=False, clip_g=False, t5_attention_mask=True), sd3_clip.SD3Tokenizer),
    "Mochi": (genmo.mochi_te(), genmo.MochiT5Tokenizer),
    "PixArt and Chroma": (pixart_t5.pixart_te(), pixart_t5.PixArtTokenizer),
    "LTXV": (lt.ltxv_te(), lt.LTXVT5Tokenizer),
}


@pytest.mark.slow
@pytest.mark.parametrize("model, tokenizer", HOLD_CLIP_L.values(), ids=HOLD_CLIP_L)
def test_clip_l_of_other_families(projected, model, tokenizer):
    clip = native.clip(model, tokenizer, projected, "clip_l", clip_g_model_config=SMALL_CLIP_G)
    ((_, extras),) = theirs(native.dual(projected))
    assert torch.equal(encode_clip(clip, CLIP_TEXT).spans[0].tensor, extras["pooled_output"])


@pytest.mark.slow
@pytest.mark.parametrize("length", ["ComfyUI", "official 512", "exact"])
@pytest.mark.parametrize("model, tokenizer", HOLD_T5.values(), ids=HOLD_T5)
def test_t5_of_other_families(tiny, singles, model, tokenizer, length):
    """They pad to other lengths, mask the padding, or weight against another empty prompt; FLUX.1 does not."""
    clip = native.clip(model, tokenizer, tiny, "t5xxl")
    result, expected = (encode_t5(holder, T5_TEXT, length)[0].spans[0] for holder in (clip, singles[1]))
    native.assert_same([[result.tensor, result.extras]], [[expected.tensor, expected.extras]])
