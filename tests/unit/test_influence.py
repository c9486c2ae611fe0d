"""The numbers of Encoder Influence and Word Ablation, with synthetic velocities, modulations and texts."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import silu

from flux_duet.nodes.encode.tokens.spans import Pieces
from flux_duet.nodes.probe.influence import draw, modulation
from flux_duet.nodes.probe.influence.choices import PARTS
from flux_duet.nodes.probe.influence.effects import NORMS, effects, maps, of_picture, pooled
from flux_duet.nodes.probe.influence.reading import InfluenceReading, StepReading, as_json, csv
from flux_duet.nodes.probe.influence.summary import sentence
from flux_duet.nodes.probe.words import draw as words_drawing
from flux_duet.nodes.probe.words import reading as words_reading
from flux_duet.nodes.probe.words.ablation import check_chosen, deleted, trimmed, without, words


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


V = [randn(seed, 2, 16, 4, 6) for seed in range(4)]  # v11, v10, v01, v00


# ---- effects


def test_every_number_by_its_formula():
    v11, v10, v01, v00 = (v.double() for v in V)
    found = pooled([effects(*V)])
    expected = {
        "D_clip": v11 - v10,
        "D_t5": v11 - v01,
        "solo_clip": v01 - v00,
        "solo_t5": v10 - v00,
        "interaction": v11 - v10 - v01 + v00,
        "whole": v11 - v00,
    }
    for name, difference in expected.items():
        assert found[name] == pytest.approx(float(difference.norm() / v11.norm()), rel=1e-6), name
    whole, part = v11 - v00, ((v11 - v10) + (v01 - v00)) / 2
    assert found["share_clip"] == pytest.approx(float((part * whole).sum() / (whole * whole).sum()), rel=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_shares_add_up_to_one(count):
    several = [effects(*(randn(10 * at + n, 2, 16, 4, 6) for n in range(4))) for at in range(count)]
    found = pooled(several)
    assert found["share_clip"] + found["share_t5"] == pytest.approx(1, abs=1e-12)


def test_the_maps_are_the_parts_cell_by_cell():
    one = effects(*V)
    v11, v10, v01, v00 = V
    part = ((v11 - v01) + (v10 - v00)) / 2
    mean = v11.norm(dim=1).square().mean((1, 2)).sqrt()[:, None, None]
    assert torch.allclose(one.maps[1], part.norm(dim=1) / mean)
    assert torch.allclose(maps([one, one]), one.maps) and one.maps.shape == (2, 2, 4, 6)


def test_a_stream_that_does_nothing_is_exactly_nothing():
    found = pooled([effects(V[0], V[0], V[1], V[1])])
    assert (found["D_clip"], found["solo_clip"], found["interaction"], found["share_clip"]) == (0, 0, 0, 0)
    assert found["share_t5"] == 1
    nothing = pooled([effects(*[V[0]] * 4)])
    assert nothing["whole"] == 0 and nothing["share_clip"] is None
    zero = pooled([effects(*[torch.zeros(1, 16, 2, 2)] * 4)])
    assert all(zero[name] == 0 for name in NORMS[1:])


def test_additive_streams_have_no_interaction_and_equal_streams_share():
    v00, clip, t5 = V[0], V[1], V[2]
    found = pooled([effects(v00 + clip + t5, v00 + t5, v00 + clip, v00)])
    assert found["interaction"] < 1e-6 and found["D_clip"] == pytest.approx(found["solo_clip"], rel=1e-5)
    # equal prompts: each alone has the whole effect
    found = pooled([effects(v00 + clip, v00 + clip, v00 + clip, v00)])
    assert found["D_clip"] == 0 and found["solo_clip"] == pytest.approx(found["whole"])
    assert found["share_clip"] == pytest.approx(0.5)


def test_pictures_of_a_batch_come_apart():
    one = effects(*V)
    alone = effects(*(v[1:] for v in V))
    assert pooled([of_picture(one, 1)]) == pytest.approx(pooled([alone]), rel=1e-6)


# ---- modulation


def test_the_modulations_parts_are_shapleys():
    e, null = [randn(seed, 8) for seed in range(3)], randn(9, 8)
    weight, bias = randn(4, 20, 8), randn(5, 20)

    def table(rows):
        return rows @ weight.T + bias

    def f(*on):
        return table(silu(sum((e[at] for at in on), torch.zeros(8))))

    whole = f(0, 1, 2) - f()
    parts = []
    for i in range(3):
        j, k = (at for at in range(3) if at != i)
        parts.append((f(i) - f()) / 3 + (f(i, j) - f(j)) / 6 + (f(i, k) - f(k)) / 6 + (f(0, 1, 2) - f(j, k)) / 3)
    assert torch.allclose(sum(parts), whole, atol=1e-5)
    found = modulation.shares([modulation.parts({"single": [table]}, e, null)], ["single"])["single"]
    for name, part in zip(modulation.SOURCES, parts, strict=True):
        assert found[name] == pytest.approx(float(part @ whole / (whole @ whole)), rel=1e-4)
    assert sum(found[name] for name in modulation.SOURCES) == pytest.approx(1, abs=1e-5)
    moved = (f(0, 1, 2) - table(silu(e[0] + e[1] + null))).norm() / whole.norm()
    assert found["clip_prompt"] == pytest.approx(float(moved), rel=1e-4)


def test_kinds_are_summed_over_their_blocks():
    e = [randn(seed, 8) for seed in range(3)]
    tables = {"a": [lambda rows: rows @ randn(4, 8, 8)], "b": [lambda rows: rows @ randn(5, 8, 8)] * 2}
    rows = modulation.parts(tables, e, e[2])
    assert torch.allclose(rows[2], rows[0] + rows[1]) and rows[0, 4] == 0
    assert list(modulation.shares([rows], ["a", "b"])) == ["a", "b", "all"]
    assert modulation.tables(object()) is None


# ---- the summary


def reading(*rows, null="empty prompt", every=1) -> InfluenceReading:
    """A reading of synthetic velocities, one step each."""
    moments = [StepReading(at * every, 1 - at / 10, 10.0 * at, {null: effects(*row)}) for at, row in enumerate(rows)]
    return InfluenceReading(moments, len(rows) * every, every, (len(rows), 3 * len(rows)))


def of(clip: float, t5: float, both: float = 0.0):
    """Velocities in which CLIP changes one direction, T5 another, and either of them a third."""
    base, a, b, c = (torch.zeros(1, 4, 1, 1) for _ in range(4))
    base[:, 0], a[:, 1], b[:, 2], c[:, 3] = 1, clip, t5, both
    return base + a + b + c, base + b + c, base + a + c, base


def test_the_sentence_says_who_decides():
    text = sentence(reading(*[of(0.1, 0.3)] * 4, of(0.2, 0.2), of(0.1, 0.3)))
    assert text.startswith("T5 decides 90 % of the change in the first 2 steps and ")
    assert "CLIP at most 50 % in a step" in text and text.endswith("4 times the evaluations of a plain run.")
    assert "repeats" not in text


def test_what_drowns_in_asking_again_is_too_small_to_tell():
    """It once said that CLIP decides 70 % where both prompts together change 0.45 %."""

    def noisy(effect: float, floor: float):
        read = reading(*[of(0.83 * effect, 0.55 * effect)] * 3)
        return replace(read, moments=[replace(each, floor=torch.tensor([floor])) for each in read.moments])

    text = sentence(noisy(0.0045, 0.003))
    assert text.startswith(
        "The effects are too small to say which prompt decides. Both prompts together change the model's velocity by "
        "0.45 %; evaluating the same prompt again changes it by 0.30 %."
    )
    clear = noisy(0.045, 0.003)
    assert sentence(clear).startswith("CLIP decides 69 % of the change in the first 1 step and")
    assert clear.floor(PARTS[0]) == pytest.approx(0.003, rel=1e-2)
    data = as_json(clear, "")
    assert data["floor"]["whole run"] == data["per_step"][0]["floor"] == clear.floor(PARTS[0])
    assert "again changes it by 0 %" in sentence(noisy(0.2, 0.0))
    assert draw.plot(clear).tobytes() != draw.plot(reading(*[of(0.83 * 0.045, 0.55 * 0.045)] * 3)).tobytes()


def test_it_says_where_the_lead_changes():
    text = sentence(reading(of(0.3, 0.1), *[of(0.1, 0.3)] * 2))
    assert text.startswith("CLIP decides 90 % of the change in the first 1 step but T5 ")


def test_it_says_repeats_only_where_it_was_measured():
    text = sentence(reading(*[of(0.02, 0.3, both=0.2)] * 3))
    assert "CLIP repeats what T5 says: it changes the velocity by 19 % alone, and by 1.9 % in addition to T5." in text
    assert "T5 repeats" not in text


def test_it_says_nothing_of_nothing():
    assert sentence(reading(*[of(0, 0)] * 3)).startswith("Neither prompt has an effect compared with the empty prompt")
    text = sentence(reading(*[of(0, 0.2)] * 3, null="zeros"))
    assert text.startswith("T5 decides everything: the CLIP prompt changes nothing compared with zeros")


def test_parts_of_a_run_by_the_numbers_of_its_steps():
    read = reading(*[of(0.1, 0.3)] * 2, every=3)
    assert [[each.step for each in read.part(name)] for name in PARTS] == [[0, 3], [0], [3], []]
    assert [read.steps_of(name) for name in PARTS] == [6, 2, 2, 2]
    assert read.numbers("last third", "empty prompt") is None


def test_csv_and_json_hold_every_step():
    read = reading(of(0.1, 0.3), of(0, 0), of(0.1, 0.1))
    lines = csv(read).splitlines()
    assert lines[0].startswith("null,step,percent,sigma,D_clip") and len(lines) == 4 and lines[2].endswith(",,")
    data = as_json(read, "text")
    assert len(data["per_step"]) == 3 and data["cost"]["times"] == 4 and len(data["pictures"]) == 1
    assert not any(isinstance(value, float) and math.isnan(value) for row in data["per_step"] for value in row.values())


def test_the_maps_share_one_scale():
    read = reading(*[of(0.1, 0.3)] * 3)
    found, most = draw.masks(read, PARTS[0])
    assert found.max() == 1 and found[0].max() == pytest.approx(1 / 3, rel=1e-5) and most > 0
    pages = draw.map_pages(found, most, torch.rand(1, 8, 8, 3), "empty prompt")
    assert len(pages) == 1 and draw.plot(read).width == draw.WIDTH


# ---- words


def by_place(text: str, *cuts: int) -> Pieces:
    """Tokens that end at these positions."""
    starts, ends = zip(*pairwise([0, *cuts]), strict=True)
    count = len(starts)
    return Pieces(list(range(count)), list(starts), list(ends), [1.0] * count, [0] * count, [False] * count)


TEXT = "a red-ish circle, left"
TOKENS = by_place(TEXT, 1, 5, 6, 9, 12, 16, 17, 22)  # a| red|-|ish| ci|rcle|,| left


def test_words_own_all_their_tokens_and_signs_stay():
    found = words(TEXT, TOKENS, 8)
    assert [(each.text, each.tokens) for each in found] == [
        ("a", (0,)),
        ("red-ish", (1, 2, 3)),
        ("circle", (4, 5)),
        ("left", (7,)),
    ]
    assert [each.text for each in words(TEXT, TOKENS, 4)] == ["a", "red-ish"], "those that are read"
    assert [each.text for each in words(TEXT, TOKENS, 8, "Circle, left")] == ["circle", "left"]
    with pytest.raises(ValueError, match="'square'"):
        check_chosen("circle, square", found, [])


def test_the_text_without_a_word():
    a, _, circle, left = words(TEXT, TOKENS, 8)
    assert without(TEXT, circle) == "a red-ish, left"
    assert without(TEXT, a) == "red-ish circle, left" and without(TEXT, left) == "a red-ish circle,"


def test_rows_deleted_and_rows_trimmed():
    txt = torch.arange(12.0).reshape(1, 12, 1)
    circle = words(TEXT, TOKENS, 8)[2]
    assert deleted(txt, circle).flatten().tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    assert trimmed(txt, 10, 4).shape[1] == 10 and trimmed(txt, 10, 1).shape[1] == 11 and trimmed(txt, 14, 4) is not None


def test_the_words_reading_is_reported():
    found = [
        words_reading.WordEffect("T5", "circle", 0, 2, (0.3, 0.1), (0.1, 0.1), (0.2, 0.1)),
        words_reading.WordEffect("T5", "a", 8, 1, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
        words_reading.WordEffect("CLIP", "night", 0, 1, (0.2, 0.0)),
    ]
    read = words_reading.WordReading(found, (3, 8), (0.9, 0.6), (12, 24))
    text = words_reading.sentence(read)
    assert text.startswith("In the T5 prompt 'circle' changes the velocity most: by 20 %. In the CLIP prompt 'night'")
    assert "3 times the evaluations" in text
    assert "Deleting T5's last token" not in text
    known = replace(read, control=(0.02, 0.0))
    expected = (
        "Deleting T5's last token, which belongs to no word, changes it by 1.0 %. Words with no larger effect: 'a'."
    )
    assert expected in words_reading.sentence(known)
    assert words_reading.as_json(known, "")["control"]["rows deleted"] == [0.02, 0.0]
    assert words_drawing.plot(known).height > words_drawing.plot(read).height
    data = words_reading.as_json(read, text)
    assert data["words"][0]["leaked"] == [0.2, 0.1] and "leaked" not in data["words"][2]
    assert words_drawing.plot(read).width == words_drawing.WIDTH
