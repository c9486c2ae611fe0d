"""CLIP prompts of more than 75 tokens: the first chunk as natively, the average, the strongest, and what is lost."""

import pytest
import torch

from flux_duet.nano.layouts import Shape
from flux_duet.nodes.encode.encoding import encode_clip
from flux_duet.nodes.encode.load.loading import load_clip_l
from flux_duet.nodes.encode.nodes import ClipEncode
from flux_duet.nodes.encode.tokens.lengths import words

pytestmark = pytest.mark.usefixtures("as_executed")

FIRST, SECOND = ", ".join(["a red circle"] * 20), "in the snow under a blue sky"


@pytest.fixture(scope="module")
def clip(save_models):
    return load_clip_l(str(save_models()["clip_l"]))


def split(clip, text: str) -> list[str]:
    """The text of each chunk."""
    chunks = clip.tokenize(text)["l"]
    return [clip.tokenizer.clip_l.tokenizer.decode(words(chunk)).strip() for chunk in chunks]


def vec(clip, text: str, past: str = "first") -> torch.Tensor:
    return ClipEncode.execute(clip, text, past_75=past)[0].spans[0].tensor


def native(clip, text: str) -> torch.Tensor:
    return encode_clip(clip, text).spans[0].tensor


@pytest.mark.parametrize("past", ["first", "average", "strongest"])
@pytest.mark.parametrize("text", ["", "a red circle", "a red circle, " * 15])
def test_what_fits_is_native_in_every_mode(clip, text, past):
    assert torch.equal(vec(clip, text, past), native(clip, text))
    assert ClipEncode.execute(clip, text, past_75=past).ui == {"text": ("",)}


def test_first_is_native_and_names_the_rest(clip):
    text = f"{FIRST}, {SECOND}"
    out = ClipEncode.execute(clip, text)
    assert torch.equal(out[0].spans[0].tensor, native(clip, text))
    kept, lost = split(clip, text)
    total = sum(len(words(chunk)) for chunk in clip.tokenize(text)["l"])
    assert total > 75
    assert out.ui["text"][0] == f"CLIP-L reads 75 of {total} tokens. Not read: {lost}"
    assert lost.endswith(SECOND)


def test_average_is_the_mean_of_the_chunks(clip):
    text = f"{FIRST}, {SECOND}"
    parts = [native(clip, part) for part in split(clip, text)]
    assert torch.allclose(vec(clip, text, "average"), torch.stack(parts).mean(0), atol=1e-6)
    assert not torch.allclose(vec(clip, text, "average"), parts[0], atol=1e-3)
    assert ClipEncode.execute(clip, text, past_75="average").ui == {"text": ("",)}


def test_strongest_is_farthest_from_the_empty_prompt(clip):
    text = f"{FIRST}, {SECOND}"
    parts, nothing = split(clip, text), native(clip, "")
    distances = [float((native(clip, part) - nothing).norm()) for part in parts]
    best = distances.index(max(distances))
    out = ClipEncode.execute(clip, text, past_75="strongest")
    assert torch.allclose(out[0].spans[0].tensor, native(clip, parts[best]), atol=1e-6)
    assert parts[1 - best] in out.ui["text"][0].replace("...", "")[:400] or "[...]" in out.ui["text"][0]


def test_long_clip_reads_248(save_models):
    clip = load_clip_l(str(save_models(Shape(clip_positions=248))["clip_l"]))
    assert ClipEncode.execute(clip, f"{FIRST}, {SECOND}").ui == {"text": ("",)}
    assert ClipEncode.execute(clip, f"{FIRST}, " * 5).ui["text"][0].startswith("CLIP-L reads 246 of")


def test_weights_act_in_every_chunk_that_is_read(clip):
    text = f"{FIRST}, (in the snow:1.7)"
    assert torch.equal(vec(clip, text), vec(clip, f"{FIRST}, in the snow"))
    assert not torch.allclose(vec(clip, text, "average"), vec(clip, f"{FIRST}, in the snow", "average"), atol=1e-4)
