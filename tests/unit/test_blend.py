"""Blends: their ends are the prompts, and a prompt blended with itself is that prompt."""

import re
from pathlib import Path

import pytest
import torch

from flux_duet.nodes.condition.blend.blending import blend_txt, blend_vec
from flux_duet.nodes.condition.blend.modes import TXT_MODES, VEC_MODES
from flux_duet.nodes.condition.blend.rows import rows_of
from flux_duet.nodes.condition.blend.vectors import slerp
from flux_duet.nodes.condition.controls import PlacedText
from flux_duet.nodes.streams import ClipVec, Source, Span, T5Text


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clip(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 8)),))


def t5(seed: int, ids: list[int], length: int = 12, bias: torch.Tensor | None = None) -> T5Text:
    tokens = [[(token, 1.0) for token in [*ids, 1, *[0] * (length - len(ids) - 1)]]]
    source = Source(f"text {seed}", tokens, {}, lambda: {"file": None})
    return T5Text((Span(randn(seed, 1, length, 4), {}, bias),), source)


A, B, EMPTY = clip(1), clip(2), clip(3)


def vec(mode: str, weight: float) -> torch.Tensor:
    return blend_vec(mode, A, {"other": B, "empty": EMPTY}, weight).spans[0].tensor


def tensor(stream) -> torch.Tensor:
    return stream.spans[0].tensor


@pytest.mark.parametrize("mode", VEC_MODES)
def test_the_neutral_weight_is_the_prompt_to_the_last_bit(mode):
    assert torch.equal(vec(mode, 1.0 if mode == "strength" else 0.0), tensor(A))


def test_the_other_ends():
    assert torch.equal(vec("lerp", 1.0), tensor(B)) and torch.equal(vec("slerp", 1.0), tensor(B))
    assert torch.equal(vec("strength", 0.0), tensor(EMPTY)), "strength 0 is the empty prompt, not zero"
    assert torch.allclose(vec("add", 2.0), tensor(A) + 2 * (tensor(B) - tensor(EMPTY)))
    assert torch.allclose(vec("subtract", 2.0), tensor(A) - 2 * (tensor(B) - tensor(EMPTY)))
    assert torch.allclose(vec("strength", 1.5), tensor(EMPTY) + 1.5 * (tensor(A) - tensor(EMPTY)), atol=1e-6)


# The blended `vec` at weight 0.5, for vec a, other b and the empty prompt e.
HALF = {
    "lerp": lambda a, b, e: (a + b) / 2,
    "slerp": lambda a, b, e: slerp(a, b, 0.5),  # see test_slerp_turns_evenly
    "add": lambda a, b, e: a + (b - e) / 2,
    "subtract": lambda a, b, e: a - (b - e) / 2,
    "strength": lambda a, b, e: (a + e) / 2,
}


@pytest.mark.parametrize("mode", VEC_MODES)
def test_every_mode_gives_what_its_formula_says(mode):
    assert mode in HALF, f"write down here what mode {mode!r} gives at weight 0.5"
    assert torch.allclose(vec(mode, 0.5), HALF[mode](tensor(A), tensor(B), tensor(EMPTY)), atol=1e-6)


@pytest.mark.parametrize(
    ("node", "mode"), [("BlendVec", mode) for mode in VEC_MODES] + [("BlendTxt", mode) for mode in TXT_MODES]
)
def test_every_mode_has_a_row_in_the_help(node, mode):
    page = Path(__file__).parents[2] / "js" / "docs" / f"FluxDuet{node}.md"
    assert re.search(rf"^\| `?{mode}`? \|", page.read_text(encoding="utf-8"), re.MULTILINE), page.name


def test_slerp_turns_evenly():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    third = slerp(a, b, 1 / 3)
    assert third.norm().item() == pytest.approx(2 + 2 / 3)
    assert torch.atan2(third[0, 1], third[0, 0]).item() == pytest.approx(torch.pi / 6)
    assert torch.allclose(slerp(a, 3 * a, 0.5), 2 * a), "parallel vectors have no arc"
    assert slerp(a, -a, 0.5).isfinite().all() and slerp(torch.zeros(1, 2), a, 0.5).isfinite().all()


def test_rows_that_stand_for_tokens_are_known_from_the_source():
    rows = rows_of(t5(1, [5, 6, 7]))[0]
    assert (rows.real, rows.ids) == (4, (5, 6, 7, 1))
    assert rows_of(T5Text((Span(randn(1, 1, 9, 4)),)))[0].real == 9


def join(a, b, weight, mode="join", empty=None):
    return blend_txt(mode, a, {"other": b, "empty": empty}, weight)


def test_join_puts_real_rows_side_by_side_and_one_block_of_pads():
    a, b = t5(1, [5, 6]), t5(2, [7, 8, 9])
    out = join(a, b, 0.25)
    expected = torch.cat([tensor(a)[:, :3], tensor(b)[:, :4], tensor(a)[:, 3:]], 1)
    assert torch.equal(tensor(out), expected)
    assert out.spans[0].bias.exp()[0].tolist() == pytest.approx([0.75] * 3 + [0.25] * 4 + [1] * 9)
    heavier = join(a, b, 0.75)
    assert torch.equal(tensor(heavier)[:, 7:], tensor(b)[:, 4:]), "the pads are the heavier prompt's"
    assert join(a, b, 0.0).spans[0].tensor is tensor(a) and join(a, b, 1.0).spans[0].tensor is tensor(b)


def test_weights_of_the_prompts_are_kept():
    bias = torch.zeros(1, 12)
    bias[0, 1] = 0.7
    out = join(t5(1, [5, 6], bias=bias), t5(2, [7]), 0.5)
    assert out.spans[0].bias[0, 1].item() == pytest.approx(0.7 + torch.tensor(0.5).log().item(), abs=1e-6)


def test_both_leaves_the_first_whole():
    a, b = t5(1, [5, 6]), t5(2, [7])
    assert join(a, b, 0.0, "both").spans[0].tensor is tensor(a)
    assert join(a, b, 1.0, "both").spans[0].bias is None
    assert join(a, b, 2.0, "both").spans[0].bias.exp()[0].tolist() == pytest.approx([1] * 3 + [2] * 2 + [1] * 9)


def test_a_blend_can_be_blended_again():
    ab = join(t5(1, [5, 6]), t5(2, [7]), 0.5)
    assert rows_of(ab)[0].ids == (5, 6, 1, 7, 1)
    abc = join(ab, t5(3, [8, 9]), 0.5)
    assert rows_of(abc)[0].real == 5 + 3 and tensor(abc).shape[1] == 5 + 3 + 9
    assert abc.source.text == "text 1 / text 2 / text 3" and abc.source.settings["blend"] == "join 0.5"


def test_lerp_goes_row_by_row_or_says_why_not():
    a, b = t5(1, [5, 6, 7]), t5(2, [5, 8, 7])
    assert torch.allclose(tensor(join(a, b, 0.3, "lerp")), torch.lerp(tensor(a), tensor(b), 0.3))
    assert torch.equal(tensor(join(a, b, 1.0, "lerp")), tensor(b))
    with pytest.raises(ValueError, match="have 4 and 3 tokens.*first differ at token 2.*'join'"):
        join(a, t5(3, [5, 8]), 0.3, "lerp")
    with pytest.raises(ValueError, match="weights in the attention"):
        join(a, t5(3, [5, 8, 7], bias=torch.ones(1, 12)), 0.3, "lerp")


def test_a_direction_moves_real_rows_alone():
    a, b, empty = t5(1, [5, 6]), t5(2, [7, 8, 9]), t5(3, [])
    out = tensor(join(a, b, 2.0, "add", empty))
    direction = tensor(b)[:, :4].mean(1, keepdim=True) - tensor(empty)[:, :1]
    assert torch.allclose(out[:, :3], tensor(a)[:, :3] + 2 * direction, atol=1e-6)
    assert torch.equal(out[:, 3:], tensor(a)[:, 3:])
    back = tensor(join(a, b, -2.0, "subtract", empty))
    assert torch.allclose(out, back, atol=1e-6)


@pytest.mark.parametrize("mode", [*VEC_MODES])
def test_a_missing_prompt_is_asked_for(mode):
    for name in VEC_MODES[mode].needs:
        given = {key: value for key, value in {"other": B, "empty": EMPTY}.items() if key != name}
        with pytest.raises(ValueError, match=f"'{mode}' needs `{name}`"):
            blend_vec(mode, A, given, 0.5)


@pytest.mark.parametrize("mode, weight", [("join", -0.1), ("join", 1.1), ("both", -1.0)])
def test_weights_that_mean_nothing_are_refused(mode, weight):
    with pytest.raises(ValueError, match="how strongly the tokens of `other` act"):
        join(t5(1, [5]), t5(2, [6]), weight, mode)


def test_prompts_with_controls_are_blended_before():
    placed = T5Text((Span(randn(1, 1, 9, 4), controls=(PlacedText(3),)),))
    for mode in TXT_MODES:
        with pytest.raises(ValueError, match="Blend first"):
            join(placed, t5(2, [6]), 0.5, mode, t5(3, []))
