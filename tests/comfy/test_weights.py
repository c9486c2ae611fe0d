"""CLIP weights: parsed as by ComfyUI, with an effect that ComfyUI's do not have, and native if neutral."""

import pytest
import torch
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from hypothesis import example, given
from hypothesis import strategies as st

from flux_duet.nodes.encode.encoding import encode_clip
from flux_duet.nodes.encode.load.loading import load_clip_l
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.encode.tokens import weights

pytestmark = pytest.mark.usefixtures("as_executed")

TEXT = "a (red:{}) circle (at night:{})"


@pytest.fixture(scope="module")
def clip(save_models):
    return load_clip_l(str(save_models()["clip_l"]))


def vec(clip, text: str, **options) -> torch.Tensor:
    return ClipEncode.execute(clip, text, **options)[0].spans[0].tensor


def native(clip, text: str) -> torch.Tensor:
    return encode_clip(clip, text).spans[0].tensor


TEXTS = st.lists(
    st.one_of(
        st.sampled_from("ab (((()))):::.-15\\,e"),
        st.sampled_from([":nan)", ":-inf)", ":9)", ":99)", ":1e9)", "(", "(12"]),
    ),
    max_size=24,
).map("".join)


def comfyuis(text: str) -> list[tuple[str, float]]:
    return [(unescape_important(piece), weight) for piece, weight in token_weights(escape_important(text), 1.0)]


@pytest.mark.parametrize("strict", [False, True], ids=["T5", "CLIP"])
@given(TEXTS)
@example("((a:9):nan)")
def test_words_and_weights_are_comfyuis(strict, text):
    """For the text passed to ComfyUI: the user's, unless it has a number that is no weight, which is reported."""
    prompt = weights.parse(text, strict)
    ours, theirs = [(each.text, each.weight) for each in prompt.segments], comfyuis(prompt.native)
    assert [piece for piece, _ in ours] == [piece for piece, _ in theirs]
    assert [weight for _, weight in ours] == pytest.approx([weight for _, weight in theirs])
    assert (prompt.native == text) == (weights.doubts(prompt, "CLIP") == [] or not prompt.refused)
    if not strict:  # what became text had a number that is no weight, whether or not any words are left to have it
        written = [float(prompt.written(places)[:-1].rsplit(":", 1)[1]) for places in prompt.refused]
        assert not any(abs(number) <= 1000 for number in written)


@pytest.mark.parametrize(
    "text",
    ["", "a red circle at night", "a (red:1.0) circle", "(all of it:1)", r"prose \(in brackets\)", "(a:1)b(c:1)"],
)
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
    plain, no_red, no_night = (
        native(clip, text) for text in ("a red circle at night", "a circle at night", "a red circle")
    )
    expected = plain + (red - 1) * (plain - no_red) + (night - 1) * (plain - no_night)
    assert torch.allclose(vec(clip, TEXT.format(red, night)), expected, atol=1e-5)


def test_a_weight_within_a_weight_counts_from_it(clip):
    plain, without, inner = (native(clip, text) for text in ("a bright red circle", "a circle", "a bright circle"))
    expected = plain + 0.5 * (plain - without) + (2.0 - 1.5) * (plain - inner)
    assert torch.allclose(vec(clip, "a (bright (red:2):1.5) circle"), expected, atol=1e-5)
    assert torch.equal(vec(clip, "a (bright (red:1.5):1.5) circle"), vec(clip, "a (bright red:1.5) circle"))


def test_switched_off_parentheses_are_text(clip):
    assert torch.equal(vec(clip, "a (red:1.8) circle", weights=False), native(clip, r"a \(red:1.8\) circle"))
    assert ClipEncode.execute(clip, "a (red:1.8) circle", weights=False).ui == {"text": ("",)}


def test_a_weight_that_cannot_act_says_so(clip, caplog):
    out = ClipEncode.execute(clip, "a red circle, " * 20 + "(at night:1.8)")
    cut, idle = out.ui["text"][0].split("\n")
    assert cut.startswith("CLIP-L reads") and cut.endswith("at night")
    assert "'at night'" in idle and "no effect" in idle and idle in caplog.text
    assert ClipEncode.execute(clip, "(at night:1.8)").ui == {"text": ("",)}


def test_parentheses_without_a_number_are_named(clip):
    (message,) = ClipEncode.execute(clip, "a circle (in brackets)").ui["text"]
    assert "(in brackets)" in message and "1.1" in message


# ---- numbers that are no weights


@pytest.mark.parametrize("phrase", ["(12:30)", "(16:9)", "(grandmother: Nan)", "(x:infinity)", "(Paris: 1920)"])
def test_a_number_that_is_no_weight_is_text_for_clip(clip, phrase):
    out = ClipEncode.execute(clip, f"a clock {phrase} at night")
    written = phrase.replace("(", r"\(").replace(")", r"\)")
    assert torch.equal(out[0].spans[0].tensor, native(clip, f"a clock {written} at night"))
    assert f"CLIP reads this as text, not as a weight: {phrase}" in out.ui["text"][0]
    expected = vec(clip, f"a {phrase} (red:1.5) circle")
    assert torch.equal(expected, vec(clip, f"a {written} (red:1.5) circle")), "and other weights still act"


@pytest.mark.parametrize("mode", ["embedding", "attention"])
@pytest.mark.parametrize("number", [" Nan", "infinity", "-inf", "1e400", "1920"])
def test_a_number_that_is_no_weight_is_text_for_t5(singles, mode, number):
    out = T5Encode.execute(singles[1], f"a (grandmother:{number}) asleep", weights=mode)
    plain = T5Encode.execute(singles[1], rf"a \(grandmother:{number}\) asleep", weights=mode)
    assert torch.equal(out[0].spans[0].tensor, plain[0].spans[0].tensor) and out[0].spans[0].bias is None
    assert out[0].spans[0].tensor.isfinite().all()
    assert f"T5 reads this as text, not as a weight: (grandmother:{number})" in out.ui["text"][0]


@pytest.mark.parametrize(
    "text", ["a (12:30) b", "(16:9)", "(x:25)", "a (red:1.3) circle", "(a (b:0.5):999)", r"\(a\) ((b))"]
)
def test_t5_in_mode_embedding_is_native_and_doubts_are_reported(dual, singles, text):
    out = T5Encode.execute(singles[1], text)
    theirs = dual.encode_from_tokens_scheduled(dual.tokenize(text))[0][0]
    assert torch.equal(out[0].spans[0].tensor, theirs)
    doubtful = any(phrase in text for phrase in ("(12:30)", "(16:9)", "(x:25)", ":999)"))
    assert ("T5 reads this as a weight, as ComfyUI does" in out.ui["text"][0]) == doubtful
