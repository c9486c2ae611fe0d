"""Weights on the CLIP road: the same words as ComfyUI, an effect that ComfyUI's have not, and native where neutral."""

import pytest
import torch
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.encode.encoding import encode_clip
from flux_duet.nodes.encode.load.loading import load_clip_l
from flux_duet.nodes.encode.nodes import ClipEncode
from flux_duet.nodes.encode.text import weights

pytestmark = pytest.mark.usefixtures("as_executed")

TEXT = "a (red:{}) circle (at night:{})"


@pytest.fixture(scope="module")
def clip(save_models):
    return load_clip_l(str(save_models()["clip_l"]))


def vec(clip, text: str, **options) -> torch.Tensor:
    return ClipEncode.execute(clip, text, **options)[0].spans[0].tensor


def native(clip, text: str) -> torch.Tensor:
    return encode_clip(clip, text).spans[0].tensor


@given(st.text(st.sampled_from("ab (((()))):::.-15\\,e"), max_size=24))
def test_words_and_weights_are_comfyuis(text):
    theirs = [(unescape_important(said), weight) for said, weight in token_weights(escape_important(text), 1.0)]
    ours = [(each.text, each.weight) for each in weights.parse(text).segments]
    assert [said for said, _ in ours] == [said for said, _ in theirs]
    assert [weight for _, weight in ours] == pytest.approx([weight for _, weight in theirs], nan_ok=True)


@pytest.mark.parametrize("text", [
    "", "a red circle at night", "a (red:1.0) circle", "(all of it:1)", r"prose \(in brackets\)", "(a:1)b(c:1)"])
def test_without_a_weight_vec_is_native(clip, text):
    assert torch.equal(vec(clip, text), native(clip, text))


def test_native_weights_do_nothing_and_ours_do(clip):
    weighted = TEXT.format(1.8, 1)
    assert torch.equal(native(clip, weighted), native(clip, TEXT.format(1, 1)))
    assert not torch.allclose(vec(clip, weighted), native(clip, weighted), atol=1e-3)


def test_weight_zero_is_the_prompt_without_the_words(clip):
    assert torch.equal(vec(clip, "a (red:0) circle"), native(clip, "a  circle"))
    assert torch.equal(vec(clip, "a (red:0) circle"), native(clip, "a circle"))  # CLIP does not read double spaces
    assert torch.equal(vec(clip, "(all of it:0)"), native(clip, ""))


@pytest.mark.parametrize("red, night", [(1.3, 1), (0.4, 1.7), (-1, 1), (2.5, 0), (0, 0)])
def test_weights_are_steps_along_their_lines(clip, red, night):
    plain, no_red, no_night = (native(clip, text) for text in (
        "a red circle at night", "a circle at night", "a red circle"))
    expected = plain + (red - 1) * (plain - no_red) + (night - 1) * (plain - no_night)
    assert torch.allclose(vec(clip, TEXT.format(red, night)), expected, atol=1e-5)


def test_a_weight_within_a_weight_counts_from_it(clip):
    plain, without, inner = (native(clip, text) for text in ("a bright red circle", "a circle", "a bright circle"))
    expected = plain + 0.5 * (plain - without) + (2.0 - 1.5) * (plain - inner)
    assert torch.allclose(vec(clip, "a (bright (red:2):1.5) circle"), expected, atol=1e-5)
    assert torch.equal(vec(clip, "a (bright (red:1.5):1.5) circle"), vec(clip, "a (bright red:1.5) circle"))


def test_switched_off_parentheses_are_text(clip):
    assert torch.equal(vec(clip, "a (red:1.8) circle", weights=False), native(clip, r"a \(red:1.8\) circle"))
    assert ClipEncode.execute(clip, "a (red:1.8) circle", weights=False).ui is None


def test_a_weight_that_cannot_act_says_so(clip, caplog):
    out = ClipEncode.execute(clip, "a red circle, " * 20 + "(at night:1.8)")
    cut, idle = out.ui["text"][0].split("\n")
    assert cut.startswith("CLIP-L reads") and cut.endswith("at night")
    assert "'at night'" in idle and "no effect" in idle and idle in caplog.text
    assert ClipEncode.execute(clip, "(at night:1.8)").ui is None


def test_parentheses_without_a_number_are_named(clip):
    (said,) = ClipEncode.execute(clip, "a circle (in brackets)").ui["text"]
    assert "(in brackets)" in said and "1.1" in said
