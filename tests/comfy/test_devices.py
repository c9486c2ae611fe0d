"""Devices of tensors: nothing mixes devices, and CLIP-L Encode does not move T5's weights.

No graphics card is needed. Fake tensors know their device and shape and compute nothing. "cpu:0" is to ComfyUI another
device than "cpu": moving a weight there copies it, and the copy still computes.
"""

import contextlib
import itertools
import random

import comfy.hooks
import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy_extras.nodes_hooks import SetClipHooks
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from flux_duet.nodes.condition.attn_masks import with_texts
from flux_duet.nodes.condition.blend.blending import blend_txt, blend_vec
from flux_duet.nodes.condition.blend.modes import VEC_MODES
from flux_duet.nodes.condition.blocks import Depth
from flux_duet.nodes.condition.conditioning import join, split
from flux_duet.nodes.condition.controls import Bias, Nag, PlacedText, VecDelta
from flux_duet.nodes.encode.embeddings import cached
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.nodes.encode.tokens.lengths import LENGTHS
from flux_duet.nodes.sample.attention import DuetAttention
from flux_duet.nodes.sample.attention_groups import Texts, TokenLayout, append_texts, weighted_columns
from flux_duet.nodes.sample.choices import OFFICIAL
from flux_duet.nodes.sample.modulation import difference
from flux_duet.nodes.sample.nodes import FluxSigmas
from flux_duet.nodes.sample.sampling import SamplingPlan, official_sigmas
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import native

pytestmark = pytest.mark.slow

CPU, SECOND, META, CUDA = (torch.device(name) for name in ("cpu", "cpu:0", "meta", "cuda:0"))
KINDS = ("bare", "LoRA", "two LoRAs", "LoRA as hook")
CLIP_TEXT, T5_TEXT = "at (night:1.2)", "a (red:1.3) circle " * 80


def keep_on(monkeypatch, device) -> None:
    """As with --gpu-only: results stay on the device on which they were computed."""
    monkeypatch.setattr(comfy.model_management, "intermediate_device", lambda: device)
    # These tensors have no values to check for NaN; test_bad_files.py does that.
    monkeypatch.setattr(cached, "_finite", lambda clip, spans: spans)


@pytest.fixture
def fake_cuda(monkeypatch, tiny):
    """A fake GPU of fake tensors, with DualCLIPLoader's CLIP on it."""
    clip = native.dual(tiny)
    keep_on(monkeypatch, CUDA)
    monkeypatch.setattr(comfy.model_management, "cuda_device_context", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda models, **_: None)
    clip.patcher.load_device = clip.patcher.offload_device = CUDA
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        for module in clip.cond_stage_model.modules():
            for name, value in module._parameters.items():
                if value is not None:
                    fake = torch.empty(value.shape, dtype=value.dtype, device=CUDA)
                    module._parameters[name] = torch.nn.Parameter(fake, requires_grad=False)
        yield clip


def test_fake_tensors_notice_mixed_devices(fake_cuda):
    with pytest.raises(RuntimeError, match=r"[Dd]evice"):
        torch.ones(2, device=CUDA) + torch.ones(2)


@pytest.mark.parametrize("length", LENGTHS)
def test_encoding_stays_on_the_device(fake_cuda, length):
    vec, (txt, _) = encode_clip(fake_cuda, CLIP_TEXT), encode_t5(fake_cuda, T5_TEXT, length)
    for stream in (vec, txt):
        assert [span.tensor.device for span in stream.spans] == [CUDA]
    vec, txt, guidance = split(join(vec, txt, 3.5))
    ((rows, extras),) = join(vec, txt, guidance)
    assert rows.device == extras["pooled_output"].device == CUDA


class FluxOn:
    """The parts of a MODEL that the official schedule uses."""

    load_device = CUDA

    def get_model_object(self, name):
        return {"model_sampling": self, "diffusion_model": self}[name]

    sigma_max = 1.0


@pytest.mark.parametrize("denoise", [1.0, 0.5])
def test_schedule_goes_to_the_models_device(fake_cuda, denoise):
    latent = torch.zeros(1, 16, 8, 8, device=CUDA)
    assert official_sigmas(FluxOn(), latent, SamplingPlan(0, 4, "uni_pc", OFFICIAL, denoise)).device == CUDA
    # Native sigma nodes give theirs on the CPU, and samplers move them.
    assert FluxSigmas.execute(4, {"samples": latent}, "dev", denoise)[0].device == CPU


@pytest.mark.parametrize("bias", [False, True])
def test_controls_act_on_the_device_of_the_attention(fake_cuda, monkeypatch, bias):
    """Masks, weights and vectors stay in main memory, whatever the device of the tensors they act on."""
    with unset_fake_temporarily():  # which tokens go together is found in main memory, by numbers
        mask = torch.linspace(0, 1, 64).reshape(1, 8, 8)
        texts, layout = [PlacedText(torch.zeros(1, 5, 8), mask=mask), Nag(torch.zeros(1, 4, 8))], TokenLayout(15, 8, 8)
        columns = torch.linspace(-1, 1, 6)[None]
        weights = weighted_columns(6, columns, texts, 1) if bias else None
        found = Texts(texts, layout, 1).groups((True, True), weights)
        attention = DuetAttention((*texts, *([Bias(columns)] if bias else [])), layout, Depth(1, 1))
        assert attention.case
    monkeypatch.setattr(Texts, "groups", lambda *_: found)
    q, k, v = (torch.empty(1, 2, layout.total, 16, device=CUDA, dtype=torch.bfloat16) for _ in range(3))
    out = attention(
        attention_pytorch, q, k, v, 2, skip_reshape=True, transformer_options={"block_type": "double", "block_index": 0}
    )
    assert (out.device, out.dtype, out.shape) == (CUDA, torch.bfloat16, (1, layout.total, 32))
    context = append_texts(torch.empty(1, 6, 8, device=CUDA, dtype=torch.bfloat16), texts)
    assert (context.device, context.dtype, context.shape) == (CUDA, torch.bfloat16, (1, 15, 8))
    values = torch.empty(1, 6 + 64, 6 + 64, device=CUDA, dtype=torch.bfloat16)
    mask = with_texts(values, 6, 64, [(5, torch.zeros(1, 69, 69)), (4, None)])
    assert (mask.device, mask.dtype, mask.shape) == (CUDA, torch.bfloat16, (1, layout.total, layout.total))
    vector_in = torch.nn.Linear(64, 128, device=CUDA, dtype=torch.bfloat16)
    y = torch.empty(1, 64, device=CUDA, dtype=torch.bfloat16)
    delta = difference(VecDelta(torch.empty(1, 2, 64), (1.0, -1.0), own=0.5), y, vector_in)
    assert (delta.device, delta.dtype) == (CUDA, torch.bfloat16)


def test_blends_stay_on_the_device(fake_cuda):
    def t5(bias=None):
        return T5Text((Span(torch.empty(1, 9, 64, device=CUDA), {}, bias),))

    for weights_of_one in (None, torch.zeros(1, 9)):
        for mode in ("join", "both", "add"):
            made = blend_txt(mode, t5(weights_of_one), {"other": t5(), "empty": t5()}, 0.5)
            assert made.spans[0].tensor.device == CUDA
    vecs = [ClipVec((Span(torch.empty(1, 64, device=device)),)) for device in (CUDA, CPU)]
    for mode in VEC_MODES:
        assert blend_vec(mode, vecs[0], {"other": vecs[1], "empty": vecs[1]}, 0.3).spans[0].tensor.device == CUDA


LAYERS = (
    "clip_l.transformer.text_model.encoder.layers.1.mlp.fc1",
    "t5xxl.transformer.encoder.block.1.layer.1.DenseReluDense.wi_0",
)


def lora(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"text_encoders.{layer}.{side}.weight": torch.randn(shape, generator=generator)
        for layer in LAYERS
        for side, shape in (("lora_up", (256, 2)), ("lora_down", (2, 64)))
    }


def with_lora(clip, seed: int):
    return comfy.sd.load_lora_for_models(None, clip, lora(seed), 0.0, 1.0)[1]


def weights(clip) -> list[torch.Tensor]:
    """T5's current weights; while they are referenced, nothing else can get their addresses."""
    return [value.detach() for value in clip.cond_stage_model.t5xxl.transformer.parameters()]


def stayed(before: list[torch.Tensor], clip) -> set[bool]:
    """Whether T5's weights are where they were: a move to another device is a copy."""
    return {old.data_ptr() == new.data_ptr() for old, new in zip(before, weights(clip), strict=True)}


def kinds(clip) -> dict[str, comfy.sd.CLIP]:
    """The CLIPs that may share one set of weights."""
    hooks = comfy.hooks.create_hook_lora(lora(3), 1.0, 1.0)
    return {
        "bare": clip,
        "LoRA": with_lora(clip, 1),
        "two LoRAs": with_lora(with_lora(clip, 1), 2),
        "LoRA as hook": SetClipHooks().apply_hooks(clip, False, False, hooks)[0],
    }


@pytest.fixture(scope="module")
def expected(dual):
    """The native CONDITIONING of every kind, made on the CPU alone."""
    with torch.inference_mode():
        return {kind: native.encode(clip, CLIP_TEXT, T5_TEXT) for kind, clip in kinds(dual).items()}


@pytest.fixture
def two_devices(tiny, as_executed):
    """The same CLIPs, which compute on another device than the one they are kept on."""
    return kinds(native.dual(tiny, load_device=SECOND, offload_device=CPU))


def assert_encodes(act: str, clip, conditioning: list) -> None:
    ((txt, extras),) = conditioning
    if act == "CLIP-L Encode":
        assert_vec(encode_clip(clip, CLIP_TEXT).spans[0].tensor, extras["pooled_output"], clip)
    elif act == "T5 Encode":
        assert torch.equal(encode_t5(clip, T5_TEXT)[0].spans[0].tensor, txt)
    elif act == "native":
        native.assert_same(native.encode(clip, CLIP_TEXT, T5_TEXT), conditioning)
    else:  # as ComfyUI does for the next model that wants the memory
        comfy.model_management.free_memory(1e30, SECOND)


def assert_vec(vec: torch.Tensor, expected: torch.Tensor, clip) -> None:
    """With a LoRA and weights that are not moved, ComfyUI adds the two in float32, not in the weights' float16."""
    if clip.patcher.patches and clip.patcher.model.model_loaded_weight_memory == 0:
        assert (vec - expected).norm() < 1e-3 * expected.norm()
    else:
        assert torch.equal(vec, expected)


def test_another_lora_would_be_noticed(expected):
    """The tolerance for float16 is far below what a lost or a wrong LoRA does."""
    vecs = [extras["pooled_output"] for ((_, extras),) in expected.values()]
    for one, other in itertools.combinations(vecs, 2):
        assert (one - other).norm() > 0.1 * other.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_clip_encode_does_not_move_t5(two_devices, expected, kind):
    clip = two_devices[kind]
    at_rest = weights(clip)
    assert_encodes("CLIP-L Encode", clip, expected[kind])
    assert stayed(at_rest, clip) == {True}
    assert_encodes("T5 Encode", clip, expected[kind])
    assert stayed(at_rest, clip) == {False}  # so a move is noticed
    loaded = weights(clip)
    for act in ("CLIP-L Encode", "native"):
        assert_encodes(act, clip, expected[kind])
        assert stayed(loaded, clip) == {True}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_order_gives_the_same(two_devices, expected, seed):
    """CLIPs with different LoRAs share their weights, and each run finds them as the run before has left them."""
    rng = random.Random(seed)
    for _ in range(16):
        kind = rng.choice(list(two_devices))
        act = rng.choice(["CLIP-L Encode", "CLIP-L Encode", "T5 Encode", "native", "unload"])
        assert_encodes(act, two_devices[kind], expected[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_clip_encode_computes_on_the_device(monkeypatch, tiny, as_executed, kind):
    """The device "meta" has no values, but shows where a weight or a result is."""
    keep_on(monkeypatch, META)
    clip = kinds(native.dual(tiny, load_device=META, offload_device=CPU))[kind]
    assert encode_clip(clip, CLIP_TEXT).spans[0].tensor.device == META
    assert {value.device for value in clip.cond_stage_model.t5xxl.parameters()} == {CPU}
    assert clip.patcher.model.model_loaded_weight_memory == 0
