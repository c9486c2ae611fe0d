"""Odd input from a seed: a result or a message of ours, and nothing else. `python dev.py fuzz` goes on for minutes."""

import random

import pytest

from flux_duet.devtools import fuzz

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(3))
def test_odd_input_gives_a_result_or_a_message_of_ours(nano_server, seed):
    figures = fuzz.fuzz(nano_server.url, seed, 3000, lambda figures: sum(figures.tried.values()) < 400)
    assert figures.faults == []
    assert set(fuzz.PARSERS) | {"/flux_duet/tokens", "/flux_duet/sigmas", "/flux_duet/heatmap"} == set(figures.tried)
    assert all(figures.refused[kind] for kind in figures.tried if kind not in NEVER_WRONG), "some input is refused"
    assert all(figures.refused[kind] < tried for kind, tried in figures.tried.items() if kind not in NEVER_RIGHT)
    assert figures.others, "other routes answered meanwhile"


NEVER_WRONG = ("lists of prompts", "prompts")  # but for parentheses that are too deep
NEVER_RIGHT = ("/flux_duet/heatmap", "names of tensors")  # there is no such reading, and no such file is whole


@pytest.mark.parametrize("kind", fuzz.PARSERS)
def test_a_raw_error_is_a_fault(monkeypatch, kind):
    """The fuzzer tells our messages from Python's."""
    for wrong in (lambda _: int("x"), lambda _: {}["x"]):
        figures = fuzz.Figures()
        monkeypatch.setitem(fuzz.PARSERS, kind, (fuzz.PARSERS[kind][0], wrong))
        fuzz.parse_one(figures, kind, random.Random(1), 100)
        assert len(figures.faults) == 1 and not figures.held
