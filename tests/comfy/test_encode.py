"""CLIP-L Encode and T5 Encode equal CLIPTextEncodeFlux's CONDITIONING bit for bit."""

import os
import re
from collections import Counter

import comfy
import pytest
import torch
from safetensors.torch import save_file
from transformers import T5TokenizerFast

from flux_duet.nano.layouts import Shape
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5, inspect
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.encode.tokens.lengths import LENGTHS
from flux_duet.tests.comfy import native

pytestmark = pytest.mark.usefixtures("as_executed")

LONG = "a red circle to the left of a blue square, "
TEXTS = {
    "empty": "",
    "short": "a red circle on the left",
    "weights": "a (red:1.3) circle, ((at night)), prose (in brackets), \\(escaped\\)",
    "past 75 CLIP tokens": LONG * 9,
    "past 512 T5 tokens": LONG * 45,
    "weights past every limit": f"(first:0.5) {LONG * 22} (last:1.7) {LONG * 22}",
    "emoji and Chinese": "\U0001f98a caf\u00e9 \u6771\u4eac\u5854 \u4e0b\u7684\u4e00\u53ea\u72d0\u72f8",
    "textual inversion": "in the style of embedding:style at night, (embedding:style:1.4)",
    "missing inversion": "in the style of embedding:nowhere at night",
}
SIZES = {
    "two blocks, fp32": (Shape(), torch.float32),
    "two blocks, fp16": (Shape(), torch.float16),
    "T5-XXL deep, fp32": (Shape(t5_layers=24), torch.float32),
    "T5-XXL deep, bf16": (Shape(t5_layers=24), torch.bfloat16),
    "Long-CLIP, two heads": (Shape(clip_positions=248, clip_width=128, t5_width=48, t5_heads=3), torch.float16),
}

first, *others = SIZES


def join(vec, txt, guidance=3.5) -> list:
    return DualPrompt.execute(vec, txt, guidance)[0]


@pytest.fixture(scope="module", params=[first, *(pytest.param(size, marks=pytest.mark.slow) for size in others)])
def clips(request, save_models, tmp_path_factory):
    """(DualCLIPLoader's, ours for CLIP-L, ours for T5) on the same files and the same textual inversions."""
    shape, dtype = SIZES[request.param]
    paths = save_models(shape, dtype)
    folder = str(tmp_path_factory.mktemp("embeddings"))
    rows = {"clip_l": torch.randn(2, shape.clip_width), "t5xxl": torch.randn(3, shape.t5_width)}
    save_file(rows, f"{folder}/style.safetensors")
    single = load_clip_l(str(paths["clip_l"]), [folder]), load_t5(str(paths["t5xxl"]), [folder])
    return native.dual(paths, folder), *single


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_comfyui_length_is_native(clips, text):
    """Through our loaders, and through the dual CLIP that the native node gets. CLIP's weights, which natively do
    nothing, have their own tests in test_weights.py."""
    dual, clip, t5 = clips
    theirs = native.encode(dual, text, text)
    for holders in ((clip, t5), (dual, dual)):
        vec, txt = encode_clip(holders[0], text), T5Encode.execute(holders[1], text)[0]
        native.assert_same(join(vec, txt), theirs)


def test_the_two_prompts_go_their_own_ways(clips):
    dual, clip, t5 = clips
    ours = join(encode_clip(clip, "at night"), encode_t5(t5, LONG)[0])
    native.assert_same(ours, native.encode(dual, "at night", LONG))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(("length", "minimum"), [("exact", 0), ("official 512", 512), ("official 256", 256)])
def test_lengths_that_cut_nothing_are_native(dual, singles, text, length, minimum):
    """Compared with the native T5 Tokenizer Options."""
    _, t5 = singles
    txt, cut = encode_t5(t5, text, length)
    if cut is None:
        theirs = native.encode(native.with_t5_options(dual, minimum), "", text)
        native.assert_same(join(encode_clip(dual, ""), txt), theirs)
    else:
        assert txt.spans[0].tensor.shape[1] == minimum


@pytest.fixture(scope="module")
def hugging_face():
    """Hugging Face's tokenizer on the vocabulary that ComfyUI ships."""
    root = os.path.dirname(comfy.__path__[0])
    return T5TokenizerFast.from_pretrained(os.path.join(root, "comfy", "text_encoders", "t5_tokenizer"))


@pytest.mark.parametrize("limit", [256, 512])
@pytest.mark.parametrize("extra", [-200, -1, 0, 1, 2, 300])
def test_official_lengths_cut_as_hugging_face_does(dual, singles, hugging_face, limit, extra):
    """Texts of `limit + extra` tokens, the end token among them."""
    text = "the " * (limit + extra - 1)
    ids = hugging_face(text, padding="max_length", max_length=limit, truncation=True)["input_ids"]
    assert len(hugging_face(text)["input_ids"]) == limit + extra and len(ids) == limit
    tokens = {"l": dual.tokenize("")["l"], "t5xxl": [[(token, 1.0) for token in ids]]}
    theirs = dual.encode_from_tokens_scheduled(tokens, add_dict={"guidance": 3.5})
    txt, cut = encode_t5(singles[1], text, f"official {limit}")
    native.assert_same(join(encode_clip(singles[0], ""), txt), theirs)
    assert (cut is not None) == (extra > 0)


@pytest.mark.parametrize("name", ["weights past every limit", "emoji and Chinese", "past 512 T5 tokens"])
@pytest.mark.parametrize("length", LENGTHS)
def test_number_of_rows(singles, hugging_face, name, length):
    text = TEXTS[name].replace("(first:0.5)", "first").replace("(last:1.7)", "last")
    count = len(hugging_face(text)["input_ids"])
    rows = {"ComfyUI": max(count, 256), "official 512": 512, "official 256": 256, "exact": count}
    assert encode_t5(singles[1], text, length)[0].spans[0].tensor.shape[1] == rows[length]


def test_what_is_cut_is_reported(singles, hugging_face, caplog):
    text = "the " * 254 + "here the bee flies"
    out = T5Encode.execute(singles[1], text, "official 256")
    kept = hugging_face.decode(hugging_face(text)["input_ids"][:255])
    lost = text.removeprefix(kept).strip()
    (message,) = out.ui["text"]
    total = len(hugging_face(text)["input_ids"])
    assert message == f"T5 reads 256 of {total} tokens. Not read: {lost}"
    assert message in caplog.text
    caplog.clear()
    assert T5Encode.execute(singles[1], text).ui["text"] == ("",)
    assert caplog.text == ""


def test_a_textual_inversion_may_be_cut(clips):
    """It is no token id, and has no text to report."""
    *_, t5 = clips
    txt, cut = encode_t5(t5, "the " * 254 + "embedding:style bee", "official 256")
    assert txt.spans[0].tensor.shape[1] == 256
    assert cut.total - cut.kept >= 3 and cut.text == "bee"


@pytest.mark.parametrize("options", [{"min_length": 300}, {"min_length": 0, "min_padding": 7}])
def test_comfyui_length_obeys_t5_tokenizer_options(dual, singles, options):
    text = TEXTS["short"]
    theirs = native.encode(native.with_t5_options(dual, **options), text, text)
    txt, _ = encode_t5(native.with_t5_options(singles[1], **options), text)
    native.assert_same(join(encode_clip(singles[0], text), txt), theirs)
    assert theirs[0][0].shape[1] != 256


@pytest.fixture
def calls(dual):
    """Counts the runs of each encoder of the dual CLIP."""
    counted = Counter()
    handles = [
        getattr(dual.cond_stage_model, name).transformer.register_forward_hook(
            lambda *_, name=name: counted.update([name])
        )
        for name in ("clip_l", "t5xxl")
    ]
    yield counted
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("text", [TEXTS["empty"], TEXTS["weights"], TEXTS["past 75 CLIP tokens"]])
def test_each_encode_runs_its_own_encoder_alone(dual, calls, text):
    encode_clip(dual, text)
    assert calls == {"clip_l": 1}
    encode_t5(dual, text)
    assert calls == {"clip_l": 1, "t5xxl": 1}
    native.encode(dual, text, text)
    assert calls == {"clip_l": 2, "t5xxl": 2}


def test_encoding_leaves_the_clip_as_it_was(dual):
    """Options set for one run must not stay: the next native encoding is unchanged."""
    before = native.encode(dual, "a", "b")
    model, options = dual.cond_stage_model, dict(dual.tokenizer_options)
    encode_clip(dual, "c")
    encode_t5(dual, "d", "official 512")
    assert dual.cond_stage_model is model and dual.tokenizer_options == options
    native.assert_same(native.encode(dual, "a", "b"), before)


def test_a_missing_half_is_named(singles):
    clip, t5 = singles
    with pytest.raises(ValueError, match="has no T5, only CLIP-L.*Load T5"):
        T5Encode.execute(clip, "a")
    with pytest.raises(ValueError, match="has no CLIP-L, only T5.*Load CLIP-L"):
        ClipEncode.execute(t5, "a")
    with pytest.raises(ValueError, match="no CLIP, expected one with T5"):
        T5Encode.execute(None, "a")


@pytest.mark.parametrize("clip", [0, "clip", [0.5], {}])
def test_a_constant_in_place_of_a_link_is_named(clip):
    for encode in (encode_clip, encode_t5, inspect):
        with pytest.raises(
            ValueError, match=f"Got {re.escape(repr(clip))} as `clip`, expected .*Connect a text encoder"
        ):
            encode(clip, "a fox")


def test_t5_encode_says_only_what_is_wrong(singles):
    _, t5 = singles
    assert T5Encode.execute(t5, "a red circle").ui["text"] == ("",)
    assert T5Encode.execute(t5, "a \u6771 circle", "exact").ui["text"] == ("T5 has no token for: \u6771",)


def test_t5_encode_says_what_flux_was_trained_on(singles):
    _, t5 = singles
    (fits,) = T5Encode.execute(t5, "the " * 511).ui["text"]
    (past,) = T5Encode.execute(t5, "the " * 512).ui["text"]
    assert fits == "" and past.startswith("T5: 513 tokens with the end token. FLUX.1 dev was trained on at most 512")
