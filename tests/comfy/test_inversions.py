"""`embedding:name` without an effect is reported: the file does not exist, or is for another encoder."""

import pytest
import torch
from comfy.sd1_clip import load_embed
from comfy.text_encoders.flux import FluxTokenizer
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from flux_duet.nodes.encode.encoding import CLIP_L, T5XXL, inspect, tokenizer_of
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.nodes.encode.nodes import ClipEncode, Inspect, T5Encode
from flux_duet.nodes.encode.tokens.inspection import named_among, read_by_clip, read_by_t5
from flux_duet.nodes.encode.tokens.spans import pieces

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

FILES = ["style.safetensors", "people/nan.pt", "people/of old/an.elder.bin", "odd.txt"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both encoders' rows in one file, and only CLIP's in another, which T5 cannot read."""
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"clip_l": torch.randn(2, 768), "t5xxl": torch.randn(3, 4096)}, folder / "style.safetensors")
    save_file({"emb_params": torch.randn(4, 768)}, folder / "sd15.safetensors")
    return folder


@pytest.fixture(scope="module")
def clips(save_models, folder):
    clips = load_clip_l(str(save_models()["clip_l"])), load_t5(str(save_models()["t5xxl"]))
    for clip, name in zip(clips, (CLIP_L, T5XXL), strict=True):
        tokenizer_of(clip, name).embedding_directory = [str(folder)]
    return clips


def message_of(out) -> str:
    return (out.ui or {"text": ("",)})["text"][0]


def encoded(node, clip, text, **options):
    out = node.execute(clip, text, **options)
    return out[0].spans[0].tensor, message_of(out)


@pytest.mark.parametrize("node, which", [(ClipEncode, 0), (T5Encode, 1)])
def test_a_name_that_is_not_there_is_told_on_the_node(clips, node, which):
    tensor, text = encoded(node, clips[which], "a fox, embedding:typo, at night")
    assert f"embedding:typo was not found, so {('CLIP', 'T5')[which]} ignores it." in text
    assert torch.equal(tensor, encoded(node, clips[which], "a fox, , at night")[0]), "as in ComfyUI"
    assert "There is no" not in encoded(node, clips[which], "a fox, embedding:style, at night")[1]
    off = {"weights": "off" if which else False}
    assert "embedding:typo" in encoded(node, clips[which], "(embedding:style) (a embedding:typo)", **off)[1]


def test_rows_for_another_encoder_are_told_on_the_node(clips):
    assert "it has width" not in encoded(ClipEncode, clips[0], "embedding:sd15 fox")[1]
    tensor, text = encoded(T5Encode, clips[1], "embedding:sd15 fox", length="exact")
    assert "T5 ignores embedding:sd15: it has width 768, expected 4096." in text
    assert tensor.shape[1] == len(
        clips[1].tokenize("embedding:sd15 fox", tokenizer_options={"t5xxl_min_length": 0})["t5xxl"][0]
    ), "ComfyUI puts pads in their place"


def test_the_inspector_tells_both(clips, folder):
    _, summary, _ = Inspect.execute(clips[1], "embedding:typo, embedding:sd15 fox").result
    assert "embedding:typo was not found" in summary and "ignores embedding:sd15" in summary
    (reading,) = inspect(clips[0], "a embedding:typo fox")
    assert reading.as_json()["ignored"] == [[2, 16]] and len(reading.pieces) == 2


@pytest.mark.parametrize("text", ["a fox embedding:", "(a embedding:)"])
def test_no_name_at_all_is_an_error_that_says_so(clips, text):
    for node, clip in zip((ClipEncode, T5Encode), clips, strict=True):
        with pytest.raises(ValueError, match="`embedding:` without a name"):
            node.execute(clip, text)


# ---- without a folder, as the route for the front end has it

NAMES = st.sampled_from(
    [
        "style",
        "style.safetensors",
        "nan",
        "people/nan.pt",
        "nan.pt",
        "an.elder",
        "of",
        "typo",
        "x<y>",
        "style,",
        ",style",
        "../style",
        "people/../style",
        "of old/an.elder",
        "",
        "style\n",
        "./style",
    ]
)
PROMPTS = st.lists(
    st.one_of(
        NAMES.map(lambda name: f" embedding:{name}"),
        st.sampled_from([" a", ", ", "<b>", "(", ":1.3)", "  ", "\n", "(12", r"\("]),
    ),
    max_size=8,
).map("".join)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"x": torch.randn(2, 768)}, folder / file)
    save_file({"x": torch.randn(2, 768)}, folder / FILES[0])
    return folder


@given(name=NAMES)
def test_names_are_known_as_comfyui_finds_them(tree, name):
    listed = named_among([file for file in FILES if not file.endswith(".txt")])
    name = name.strip()
    assert listed(name) == (load_embed(name, str(tree), 768, "clip_l") is not None)


@pytest.fixture(scope="module")
def tokenizers(tree):
    """(without a folder, with an empty one)"""
    empty = tree / "empty"
    empty.mkdir()
    return FluxTokenizer(), FluxTokenizer(embedding_directory=str(empty))


@given(text=PROMPTS)
def test_what_is_not_there_is_left_out_as_comfyui_does(tokenizers, text):
    ours, theirs = tokenizers
    for stream in ("clip_l", "t5xxl"):
        found = pieces(getattr(ours, stream), text, exists=lambda name: False)
        try:
            expected = pieces(getattr(theirs, stream), text)
        except IndexError:  # ComfyUI's, where a name is missing
            continue
        assert (found.ids, found.weights, found.chunks) == (expected.ids, expected.weights, expected.chunks)
        assert found.ignored == expected.ignored


def test_what_is_there_counts_as_text(tokenizers):
    exists = named_among(FILES)
    for read in (
        lambda text: read_by_clip(tokenizers[0].clip_l, text, exists=exists),
        lambda text: read_by_t5(tokenizers[0].t5xxl, text, "exact", exists=exists),
    ):
        assert not list(read("a embedding:style fox").notes())
        assert len(read("a embedding:style fox").pieces) > len(read("a fox").pieces)
        (note,) = read("a embedding:typo fox").notes()
        assert "embedding:typo was not found" in note
        assert read("a embedding:typo fox").pieces.ids == read("a fox").pieces.ids
