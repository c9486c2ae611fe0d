"""A study's statistics, and the share of the machine in a grid, against known results."""

import numpy
import pytest
import torch
from scipy import stats

from flux_duet.nodes.probe.grid.machines import note, shares
from flux_duet.nodes.probe.study.reading import TITLES, Study
from flux_duet.nodes.probe.study.statistics import averaged, summary


def test_mean_and_interval_are_scipys():
    values = [0.1, 0.12, 0.5, 0.2, 0.15, None, 0.11]
    found, known = summary(values), [value for value in values if value is not None]
    expected = stats.t.interval(0.95, 5, loc=numpy.mean(known), scale=stats.sem(known))
    assert found.count == 6 and found.mean == pytest.approx(numpy.mean(known))
    assert found.interval == pytest.approx(expected) and found.outliers == (2,) and (found.least, found.most) == (0, 2)
    assert summary([0.3]).interval is None and summary([None]) is None and summary([1.0] * 9).outliers == ()
    assert averaged([{"a": 1.0, "b": None}, {"a": 3.0, "b": 1.0}]) == {"a": 2.0, "b": None}


def study(shares_of_clip) -> Study:
    def record(share):
        numbers = {**dict.fromkeys(TITLES, 0.1), "share_clip": share, "share_t5": 1 - share}
        parts = {"whole run": numbers, "first third": numbers, "middle third": None, "last third": numbers}
        return {"parts": parts, "floor": 0.0, "times": 5.0}

    prompts = [(f"prompt {number}", f"prompt {number}") for number in range(len(shares_of_clip))]
    return Study(prompts, [0, 1], [[record(share), record(share)] for share in shares_of_clip])


def test_the_sentence_names_the_mean_the_range_and_the_outliers():
    text = study([0.1, 0.11, 0.12, 0.13, 0.6]).sentence()
    assert text.startswith("CLIP decides 21 % (95% interval ") and 'to 60 % ("prompt 4")' in text
    assert 'Outliers in CLIP\'s share: "prompt 4" (60 %).' in text
    assert study([0.1, 0.2]).csv().splitlines()[0].startswith("clip_prompt,t5_prompt,share_clip")
    assert study([0.25]).sentence() == "CLIP decides 25 % of what both prompts change, the mean of 1 prompt."


def test_machines_that_differ_have_a_share_and_those_that_do_not_have_none():
    random = torch.Generator().manual_seed(3)
    cells = torch.randn(1, 6, 3, 2, 4, 8, 8, generator=random)
    machines = ["one" if each else "other" for each in torch.rand(36, generator=random) < 0.5]
    same = shares(cells, machines)
    assert abs(same["share"]) < same["chance"] + 0.05 and shares(cells, ["one"] * 36) is None
    marked = cells + torch.tensor([each == "one" for each in machines]).reshape(1, 6, 3, 2, 1, 1, 1) * 2.0
    found = shares(marked, machines)
    assert found["share"] > 0.2 > found["chance"]
    assert note({"machine": same}) == note({}) == [] and "their pictures differ" in note({"machine": found})[0]
