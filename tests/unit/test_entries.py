"""Identifies the prompts of a run by role and by rows."""

import pytest
import torch

from flux_duet.nodes.probe.entries import located, rank, roles

GENERATOR = torch.Generator().manual_seed(4)
ROWS = torch.randn(9, 4, generator=GENERATOR)


def test_rows_are_found_at_the_beginning_first_and_then_anywhere():
    own = ROWS[:3]
    assert located(ROWS, own) == 0 and located(ROWS, ROWS[2:6]) == 2 and located(ROWS, ROWS[8:]) == 8
    assert located(torch.cat([own[:2], own, own]), own) == 2, "after a beginning that is equal"
    assert located(torch.cat([own, ROWS, own]), own) == 0


@pytest.mark.parametrize(
    "other", [ROWS.flip(0)[:3], ROWS[[0, 1, 3]], ROWS[:3] + 1e-6, torch.cat([ROWS, ROWS]), ROWS[:0], ROWS[:, :3]]
)
def test_other_rows_are_not(other):
    assert located(ROWS, other) is None


def entries(*ids):
    return [{"uuid": each} for each in ids]


def test_roles_by_list_by_ids_and_by_part_of_the_ids():
    known = {"negative": entries(3, 1), "positive": entries(1, 2), "middle": entries(4)}
    assert roles([known["negative"], None, known["positive"]], known) == ["negative", "another", "positive"]
    assert roles([entries(2, 1), entries(1, 3), entries(4)], known) == ["positive", "negative", "middle"]
    assert roles([entries(2), entries(3), entries(5), [], entries(2, 3)], known) == [
        "positive",
        "negative",
        "another",
        "another",
        "another",
    ]
    # ComfyUI copies an entry with an area into the other prompts, with the same id.
    assert roles([entries(1)], known) == ["positive"]
    assert roles([entries(1)], {}) == ["another"] and roles([entries(1)], {"positive": None}) == ["another"]


def test_the_positive_is_preferred():
    assert sorted(["another", "negative", "empty", "middle", "positive"], key=rank) == [
        "positive",
        "middle",
        "negative",
        "empty",
        "another",
    ]
