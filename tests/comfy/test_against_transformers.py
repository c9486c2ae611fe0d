"""`vec` and `txt` compared with transformers' CLIPTextModel and T5EncoderModel with the same weights."""

from dataclasses import dataclass

import comfy.cli_args
import comfy.sd
import pytest
import torch
from torch import Tensor

from flux_duet.nano import layouts
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.tests.comfy import reference

pytestmark = pytest.mark.slow

TEXTS = {
    "empty": "",
    "short": "A watercolour of two foxes, seen from above",
    "other scripts": 'caf\u00e9 \u6771\u4eac 3\u00d74 \U0001f98a -- "na\u00efve"',
    "too long": "a lighthouse on a cliff above the sea, gulls, storm clouds; " * 30,  # for any encoder
}

# Each of our length rules as arguments of a Hugging Face tokenizer.
LENGTHS = {
    "ComfyUI": {"padding": "max_length", "max_length": 256},
    "official 512": {"padding": "max_length", "max_length": 512, "truncation": True},
    "official 256": {"padding": "max_length", "max_length": 256, "truncation": True},
    "exact": {},
}

# What the order of summation costs in float32; measured: up to 5e-7 for vec and 2e-5 for txt. T5 does not divide its
# attention logits by the root of the head's width, so with random weights they are large and magnify the last digit:
# transformers' own T5 in float32 is as far (1e-5) from itself in float64.
VEC_ROUNDING, TXT_ROUNDING = 3e-6, 1e-4

# What ComfyUI's default costs on top, float16 weights under float32 activations; measured: 5e-4 to 4e-3.
FLOAT16_WEIGHTS = 2e-2


@dataclass(frozen=True)
class Encoders:
    """The same weights in ComfyUI and transformers."""

    shape: layouts.Shape
    clip: comfy.sd.CLIP
    t5: comfy.sd.CLIP
    their_clip: torch.nn.Module
    their_t5: torch.nn.Module

    def vec(self, text: str) -> Tensor:
        return encode_clip(self.clip, text).spans[0].tensor

    def txt(self, text: str, length: str) -> Tensor:
        return encode_t5(self.t5, text, length)[0].spans[0].tensor

    @torch.inference_mode()
    def their_vec(self, text: str) -> Tensor:
        tokenizer = reference.clip_tokenizer(self.shape.clip_positions)
        tokens = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt")
        return self.their_clip(tokens.input_ids).pooler_output

    @torch.inference_mode()
    def their_txt(self, text: str, length: str) -> Tensor:
        tokens = reference.t5_tokenizer()(text, return_tensors="pt", **LENGTHS[length])
        return self.their_t5(tokens.input_ids).last_hidden_state  # no mask: FLUX.1 reads the padding too


def load(folder, shape: layouts.Shape, their_dtype: torch.dtype) -> Encoders:
    """The reference computes in float32 too, with weights rounded to `their_dtype`."""
    weights = layouts.random_state_dicts(shape)
    paths = layouts.write(folder, weights)
    rounded = {
        name: {key: value.to(their_dtype).float() for key, value in part.items()} for name, part in weights.items()
    }
    return Encoders(
        shape,
        load_clip_l(str(paths["clip_l"])),
        load_t5(str(paths["t5xxl"])),
        reference.clip_l(shape, rounded["clip_l"]),
        reference.t5xxl(shape, rounded["t5xxl"]),
    )


@pytest.fixture(scope="module", params=reference.SHAPES.values(), ids=reference.SHAPES.keys())
def in_float32(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comfy.cli_args.args, "fp32_text_enc", True)  # --fp32-text-enc, read while a CLIP is made
        return load(tmp_path_factory.mktemp("models"), request.param, torch.float32)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_vec(in_float32, text):
    theirs = in_float32.their_vec(text)
    assert theirs.shape == (1, in_float32.shape.clip_width)
    assert reference.distance(in_float32.vec(text), theirs) < VEC_ROUNDING


@pytest.mark.parametrize(
    "text, length",
    [
        ("empty", "official 512"),
        ("short", "official 512"),
        ("short", "exact"),
        ("other scripts", "official 256"),
        ("too long", "ComfyUI"),
        ("too long", "official 512"),
        ("too long", "official 256"),
        ("too long", "exact"),
    ],
)
def test_txt(in_float32, text, length):
    theirs = in_float32.their_txt(TEXTS[text], length)
    assert reference.distance(in_float32.txt(TEXTS[text], length), theirs) < TXT_ROUNDING


def test_another_text_is_far_away(in_float32):
    """The tolerances above would not let one text pass for another."""
    one, other = TEXTS["short"], TEXTS["short"].replace("two", "three")
    assert reference.distance(in_float32.vec(one), in_float32.their_vec(other)) > 1000 * VEC_ROUNDING
    txt, their_txt = in_float32.txt(one, "official 256"), in_float32.their_txt(other, "official 256")
    assert reference.distance(txt, their_txt) > 1000 * TXT_ROUNDING


@pytest.mark.parametrize(
    "their_dtype, vec_limits, txt_limits",
    [
        (torch.float16, (0, VEC_ROUNDING), (0, TXT_ROUNDING)),
        (torch.float32, (VEC_ROUNDING, FLOAT16_WEIGHTS), (TXT_ROUNDING, FLOAT16_WEIGHTS)),
    ],
    ids=["rounded there too", "not rounded there"],
)
def test_default_rounds_the_weights_to_float16_and_nothing_else(tmp_path, their_dtype, vec_limits, txt_limits):
    encoders, text = load(tmp_path, reference.SHAPES["dev"], their_dtype), TEXTS["short"]
    vec = reference.distance(encoders.vec(text), encoders.their_vec(text))
    txt = reference.distance(encoders.txt(text, "exact"), encoders.their_txt(text, "exact"))
    assert vec_limits[0] < vec < vec_limits[1]
    assert txt_limits[0] < txt < txt_limits[1]
