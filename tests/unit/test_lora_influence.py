"""LoRA Influence's Shapley values, and what it says and draws."""

from itertools import combinations, permutations

import pytest
import torch

from flux_duet.nodes.lora.parts import CLIP_ENCODER, CLIP_STREAM, IMAGE, JOINT, PARTS, T5_STREAM
from flux_duet.nodes.palette import LIGHT
from flux_duet.nodes.probe.parts import draw
from flux_duet.nodes.probe.parts.effects import MOST, effects, maps, pooled, sets_of
from flux_duet.nodes.probe.parts.reading import Measured, PartsReading, as_json, sentence, table

SHAPE = (2, 4, 6, 5)
FOUR = (CLIP_STREAM, T5_STREAM, IMAGE, JOINT)


def randn(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def values_of(parts, additive: bool = False) -> dict:
    """A velocity for each set of parts: random, or the sum of what each of its parts does."""
    plain = randn(99)
    if additive:
        return {each: plain + sum(randn(parts.index(part)) for part in each) for each in sets_of(parts)}
    return {each: plain + 0.3 * randn(number) for number, each in enumerate(sets_of(parts))}


def by_orders(values: dict, parts) -> list[torch.Tensor]:
    """Shapley's values by their definition: the mean over all orders of what a part adds to those before it."""
    found, orders = [torch.zeros(SHAPE, dtype=torch.float64) for _ in parts], list(permutations(parts))
    for order in orders:
        for at, part in enumerate(order):
            before = frozenset(order[:at])
            found[parts.index(part)] += (values[before | {part}].double() - values[before].double()) / len(orders)
    return found


@pytest.mark.parametrize("parts", [FOUR[:1], FOUR[:2], FOUR, PARTS[:5]], ids=len)
def test_shapley_values(parts):
    values = values_of(parts)
    assert set(values) == {frozenset(each) for size in range(len(parts) + 1) for each in combinations(parts, size)}
    found, expected = effects(values, values[frozenset(parts)], parts), by_orders(values, parts)
    whole = values[frozenset(parts)].double() - values[frozenset()].double()
    squares = whole.square().sum((1, 2, 3))
    mean = values[frozenset(parts)].square().sum(1).mean((1, 2)).sqrt()
    for at, phi in enumerate(expected):
        assert found.dots[at] == pytest.approx((phi * whole).sum((1, 2, 3)), rel=1e-4, abs=1e-4)
        assert found.own[at] == pytest.approx(phi.flatten(1).norm(dim=1), rel=1e-4)
        expected_map = (phi.norm(dim=1) / mean[:, None, None]).float()
        assert torch.allclose(found.maps[at].float(), expected_map, rtol=1e-3, atol=1e-5)
    assert found.dots.sum(0) == pytest.approx(squares, rel=1e-5)
    assert sum(pooled([found]).shares) == pytest.approx(1, abs=1e-5)
    assert found.floor.tolist() == [0, 0]


def test_alone_and_left_out():
    values, everything = values_of(FOUR), frozenset(FOUR)
    found = effects(values, values[everything] + 1e-3, FOUR)
    for at, part in enumerate(FOUR):
        alone = values[frozenset({part})] - values[frozenset()]
        left_out = values[everything] - values[everything - {part}]
        assert torch.equal(found.alone[at], alone.flatten(1).norm(dim=1))
        assert torch.equal(found.left_out[at], left_out.flatten(1).norm(dim=1))
    assert found.floor == pytest.approx(1e-3 * 120**0.5, rel=1e-3)


def test_more_than_five_parts():
    """Fewer sets, and for effects that simply add up the same shares as Shapley's."""
    assert len(PARTS) > MOST and len(sets_of(PARTS)) == 14 and len(sets_of(PARTS[:5])) == 32
    values = values_of(PARTS, additive=True)
    found = effects(values, values[frozenset(PARTS)], PARTS)
    assert sum(pooled([found]).shares) == pytest.approx(1, abs=1e-5)
    assert found.together.max() < 1e-4 * found.whole.min()
    expected = [randn(at).flatten(1).norm(dim=1) for at in range(len(PARTS))]
    assert torch.allclose(found.own.float(), torch.stack(expected), rtol=1e-4)


def test_a_mask_counts_places_once():
    values = values_of(FOUR)
    mask = torch.zeros(SHAPE)
    mask[..., :3] = 1
    masked = {each: value * mask for each, value in values.items()}
    inside = {each: value[..., :3] for each, value in values.items()}
    all_of = frozenset(FOUR)
    found, expected = effects(masked, masked[all_of], FOUR, mask), effects(inside, inside[all_of], FOUR)
    assert torch.allclose(found.dots, expected.dots, rtol=1e-4)
    assert torch.allclose(found.maps[..., :3], expected.maps, rtol=1e-4) and not found.maps[..., 3:].any()


def test_nothing_is_repainted():
    zeros = {each: torch.zeros(SHAPE) for each in sets_of(FOUR)}
    found = effects(zeros, zeros[frozenset()], FOUR, torch.zeros(SHAPE))
    assert pooled([found]).shares is None and pooled([found]).whole == 0
    reading = PartsReading("x", 1.0, FOUR, [Measured(0, 1.0, found)], 4, 17, [0.0, 0.0])
    assert sentence(reading).startswith("Nothing is repainted")
    draw.plot(reading)


# ---- in words and as a picture


def reading(parts=FOUR, sizes=(0.3, 0.0, 0.1, 0.0), steps=(0, 7), floor=0.0, turn: bool = False) -> PartsReading:
    """Parts that act apart, at the end less: each changes a channel by its size, with `turn` in the opposite order."""
    moments = []
    for number, step in enumerate(steps):
        own = [(1 - 0.2 * number) * size for size in (reversed(sizes) if turn and number else sizes)]
        plain = torch.zeros(1, 8, 4, 4)
        plain[:, 7] = 1
        values = {}
        for each in sets_of(parts):
            values[each] = plain.clone()
            for part in each:
                values[each][:, parts.index(part)] = own[parts.index(part)]
        full = values[frozenset(parts)]
        moments.append(Measured(step, 1.0 - step / 10, effects(values, full + floor, parts)))
    return PartsReading("style.safetensors", 1.0, parts, moments, 8, 17 * len(steps))


def test_sentence():
    assert sentence(reading()) == (
        "90 % of the effect of style.safetensors comes from the CLIP stream (90 % at sigma 1.00, 90 % at 0.30), 10 % "
        "from the image layers, almost nothing from the T5 stream and the attention and MLP of the single blocks. The "
        "LoRA changes the velocity by 28 %, most at sigma 1.00 (30 %). Using only the CLIP stream changes the velocity "
        "by 26 %; removing only the CLIP stream changes it by 26 %. The shares are Shapley values over all 16 "
        "combinations of its 4 parts. Cost: a run of 8 steps, plus 34 model evaluations (17 variants at 2 steps)."
    )


def test_another_part_leads_later():
    told = sentence(reading(sizes=(0.3, 0.1, 0.0, 0.2), turn=True))
    assert "At sigma 0.30, 64 % comes from the attention and MLP of the single blocks." in told


def test_one_part_is_all():
    told = sentence(reading((IMAGE,), (0.2,), (0,)))
    assert told.startswith(
        "The whole effect of style.safetensors comes from the image layers, the only part it changes. The LoRA changes "
        "the velocity by 20 % at sigma 1.00."
    )
    assert reading((IMAGE,), (0.2,)).whole.shares == [pytest.approx(1)]


def test_rounding_is_no_effect():
    told = sentence(reading(sizes=(1e-3, 0, 0, 0), floor=1e-3))
    assert "no more than repeating the same evaluation does" in told


def test_parts_that_act_against_the_rest_and_on_each_other():
    plain = torch.ones(1, 1, 4, 4)
    values = {frozenset(): plain, frozenset({CLIP_STREAM}): plain + 1, frozenset({IMAGE}): plain - 0.5,
              frozenset({CLIP_STREAM, IMAGE}): plain + 0.6}  # fmt: skip
    parts = (CLIP_STREAM, IMAGE)
    one = Measured(0, 1.0, effects(values, values[frozenset(parts)], parts))
    told = sentence(PartsReading("x", 1.0, parts, [one], 4, 5))
    assert "; the image layers works against" not in told
    assert "the image layers work against the other parts (-75 %)" in told


def test_more_than_five_parts_are_said_to_be_estimated():
    told = sentence(reading(PARTS, (0.3, 0.1, 0.1, 0.1, 0.1, 0.1)))
    assert "With more than 5 parts, a share is estimated as the mean of using only that part" in told
    assert "(15 variants at 2 steps)" in told


def test_table_and_json():
    found = reading()
    assert "| CLIP stream | 90 % | 26 % | 26 % |" in table(found)
    data = as_json(found, "x", {"seed": 1})
    assert data["all steps"]["parts"][CLIP_STREAM]["share"] == pytest.approx(0.9)
    assert [each["sigma"] for each in data["steps"]] == [1.0, pytest.approx(0.3)]
    assert data["shares are"] == "Shapley values" and data["evaluations"] == {"run": 8, "extra": 34}


def test_picture():
    """The CLIP stream's bar is there and longest; a map for each part, and the picture beside them."""
    page = draw.plot(reading())
    y = draw.TOP + 14
    wide = sum(page.getpixel((x, y)) == LIGHT.clip for x in range(page.width // 2 + 40))
    assert abs(wide - draw.BAR) < 3
    found, most = draw.masks(reading())
    assert found.shape == (4, 1, 4, 4)
    assert most == pytest.approx(float(maps([each.effects for each in reading().moments]).max()), rel=1e-3)
    plain, beside = (draw.map_pages(reading(), found, most, each)[0] for each in (None, torch.ones(1, 32, 32, 3)))
    assert beside.height > plain.height
    assert draw.plot(reading((CLIP_ENCODER,), (0.2,), (0,))).height < page.height
