"""bench heatmap: both protocols on maps whose scores follow by counting, what names an object, and the choice."""

import random

import numpy as np
import pytest
import torch

from flux_duet.bench.heatmap import protocols
from flux_duet.bench.heatmap.cases import CLAUSE, COLOUR, NOUN, PHRASE, cases, named, phrase, truths
from flux_duet.bench.heatmap.report import ceilings, full, short
from flux_duet.bench.heatmap.scoring import Way, best, block_choices, halves, ways
from flux_duet.nano import scenes


def square(*corners: tuple[int, int, int, int], side: int = 8) -> torch.Tensor:
    """[N, side, side], bool: True from the first row and column up to, not including, the second."""
    found = torch.zeros(len(corners), side, side, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(found, corners, strict=True):
        mask[top:bottom, left:right] = True
    return found


NOTHING = square((0, 0, 0, 0))


def test_our_iou_of_a_map_that_lights_twice_the_object():
    truth, lit = square((0, 0, 2, 2)), square((0, 0, 2, 4))
    found = protocols.score(lit.float(), truth, NOTHING)
    assert found.iou == pytest.approx(4 / 8)
    # Without the blur the same tokens are above the mean: IoU 4 / 8 of the object, 56 / 60 of the rest.
    assert found.miou_sharp == pytest.approx((4 / 8 + 56 / 60) / 2)


def test_the_published_mean_iou_is_counted_over_all_maps():
    # 1 of 1 token right, and 1 of 3: their mean would be 2 / 3, but together 2 of 4 are.
    truth, lit = square((0, 0, 1, 1), (4, 4, 5, 5)), square((0, 0, 1, 1), (4, 4, 5, 7))
    assert protocols.ious(lit, truth).tolist() == pytest.approx([1, 1 / 3])
    assert protocols.mean_iou(lit, truth) == pytest.approx((2 / 4 + 124 / 126) / 2)


def test_the_published_threshold_is_the_mean_of_the_blurred_map():
    truth = square((3, 3, 5, 5))
    found = protocols.score(truth.float(), truth, NOTHING)
    # The blur spreads 2 x 2 tokens over 4 x 4. Their weights are (a, a + b, a + b, a) in each direction with
    # a = 0.274 and b = 0.452, so a corner has 0.075, more than the mean 4 / 64: 16 tokens are above it.
    assert found.iou == 1
    assert found.miou == pytest.approx((4 / 16 + 48 / 60) / 2)
    assert found.accuracy == pytest.approx(52 / 64)
    assert found.miou_printed == pytest.approx(52 / (64 + 12))  # right tokens over both planes' union, for both classes


def test_what_the_published_code_prints_counts_both_planes():
    lit, truth = (torch.rand(3, 6, 6) > 0.4 for _ in range(2))
    planes, both = (torch.stack((~each, each), 1) for each in (lit, truth))
    printed = [float(((planes == value) & (both == value)).sum()
                     / ((planes == value) | (both == value)).sum()) for value in (False, True)]  # fmt: skip
    right = float((lit == truth).float().mean())
    assert printed == pytest.approx([right / (2 - right)] * 2)


def test_the_blur_keeps_what_is_even_and_what_is_in_all():
    assert torch.allclose(protocols.blurred(torch.full((1, 5, 5), 3.0)), torch.full((1, 5, 5), 3.0))
    point = torch.zeros(1, 5, 5)
    point[0, 2, 2] = 1
    blurred = protocols.blurred(point)
    assert float(blurred.sum()) == pytest.approx(1)
    assert float(blurred[0, 2, 1] / blurred[0, 2, 2]) == pytest.approx(np.exp(-0.5))
    assert float(blurred[0, 1, 1] / blurred[0, 2, 2]) == pytest.approx(np.exp(-1))


def test_average_precision():
    truth = torch.tensor([[[True, False], [True, False]]])
    best_first = torch.tensor([[[4.0, 2.0], [3.0, 1.0]]])
    between = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])  # 1 of 1, then 2 of 3
    even = torch.ones(1, 2, 2)  # all four are admitted together: 2 of 4
    values = [float(protocols.average_precision(each, truth)) for each in (best_first, between, even)]
    assert values == pytest.approx([1, (1 + 2 / 3) / 2, 0.5])


def test_the_other_object():
    truth, other = square((0, 0, 2, 2)), square((4, 4, 6, 6))
    half = torch.where(truth, 1.0, 0.0) + torch.where(square((4, 4, 6, 5)), 0.9, 0.0)
    found = protocols.score(half, truth, other)
    assert (found.lit, found.swapped) == (0.5, 0.0)
    assert protocols.score(other.float(), truth, other).swapped == 1
    assert protocols.score(half, truth, NOTHING).lit is None


@pytest.mark.parametrize(
    "t5, noun, expected",
    [
        ("there is a large striped red circle in the middle", "circle", "large striped red circle"),
        ("red circle, striped, small, top left", "circle", "red circle"),
        ("a circle", "circle", "circle"),
        ("a white square left of a tiny dotted blue heart", "heart", "tiny dotted blue heart"),
    ],
)
def test_phrase(t5, noun, expected):
    assert phrase(t5, noun) == expected


def test_what_names_an_object():
    item = scenes.Object("red", "circle", "top left", "small")
    found = named("in the upper left corner there is a tiny red circle", item)
    assert found == {
        NOUN: ("circle",),
        COLOUR: ("red",),
        PHRASE: ("tiny red circle",),
        CLAUSE: ("tiny red circle", "in the upper left corner"),
    }
    assert named("a tiny red circle above a blue square", item)[CLAUSE] == ("tiny red circle",)


def test_cases_have_one_object_and_two_in_turn():
    found = cases(6, 0)
    assert [len(case.scene.objects) for case in found] == [1, 2] * 3
    assert found == cases(6, 0) and found[0] != cases(1, 1)[0]
    assert all(scenes.unseen(case.scene) for case in found)
    assert all(part in case.t5 for case in found for each in case.named for parts in each.values() for part in parts)


def test_truths_of_two_objects_are_each_others_other():
    found = cases(4, 0)
    coverage, truth, other = truths(found, 8)
    assert len(truth) == 6 and torch.equal(other[1], truth[2]) and torch.equal(other[2], truth[1])
    assert not other[0].any() and truth.flatten(1).any(1).all()
    pixels = scenes.masks(found[0].scene)[0]
    assert float(coverage[0, 3, 4]) == pytest.approx(pixels[48:64, 64:80].mean(), abs=1e-6)


def test_the_published_blur_costs_less_on_more_tokens():
    found = cases(8, 0)
    by_side = {side: protocols.score(*truths(found, side)) for side in (8, 16, 32)}
    assert by_side[8].miou < by_side[16].miou < by_side[32].miou
    assert f"| 16 x 16 | {by_side[16].iou:.2f} | {by_side[16].miou:.2f} |" in ceilings(by_side)


def test_blocks():
    assert block_choices([0, 1, 2], 2) == {"all": [0, 1, 2], "double": [0, 1], "single": [2], "0": [0], "1": [1],
                                           "2": [2]}  # fmt: skip
    assert block_choices([14, 15], 19) == {"all": [0, 1], "14": [0], "15": [1]}
    assert block_choices([0], 1) == {"all": [0]}


def test_the_default_is_chosen_on_one_half_and_reported_on_the_other():
    truth = square(*[(0, 0, 2, 2), (4, 4, 6, 6)] * 2)
    right, wrong = truth.float(), truth.float().flip(0, 1)
    train, test = halves(truth, torch.zeros_like(truth), [1, 1, 1, 1], [True, True, False, False], [True] * 4)
    # Of two blocks the first is right in the first half alone, the second in the other half alone.
    split = torch.stack((torch.cat((right[:2], wrong[2:])), torch.cat((wrong[:2], right[2:]))), 1)[:, None]
    found = dict(ways("mass", NOUN, (0, 1), 2, split, ("all",)))
    scored = [{way: half.scored(values) for way, values in found.items()} for half in (train, test)]
    chosen = best(scored[0])
    assert chosen == Way("mass", NOUN, "0", "all")
    assert scored[0][chosen].every.iou == 1 and scored[1][chosen].every.iou == 0
    assert torch.equal(found[Way("mass", NOUN, "all", "all")], split.mean(2)[:, 0])
    assert "| mass | noun | 0 | all | 0.00 | 0.00 |  | 0.00 |" in short(*scored, test.scored(right))
    assert "| sigma, blocks | all | 0 | 1 |" in full(scored[1])


def test_halves_keep_the_objects_of_a_case_together():
    truth = torch.rand(5, 4, 4) > 0.5
    drawn = [True, False, True, True, True]
    train, test = halves(truth, torch.zeros_like(truth), [1, 2, 2], [True, False, True], drawn)
    assert train.at.tolist() == [True, False, False, True, True]
    assert test.drawn.tolist() == [False, True]
    assert test.alone.tolist() == [False, False] and train.alone.tolist() == [True, False, False]


def test_captions_that_name_an_object_twice_are_left_out():
    rng = random.Random(1)
    drawn = [scenes.unseen_scene(rng, {2: 1.0}) for _ in range(40)]
    assert any(one.colour == other.colour for one, other in (scene.objects for scene in drawn))
    two = [case.scene.objects for case in cases(40, 1)[1::2]]
    assert all(one.colour != other.colour and one.shape != other.shape for one, other in two)
