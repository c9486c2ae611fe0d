"""Odd input from a seed: a result or a message of ours, and nothing else. `python dev.py fuzz` goes on for minutes, and
judges the time that an input takes, which depends on the machine and is no test's matter."""

import random

import pytest

from flux_duet.devtools.fuzz import going, inputs, workflows
from flux_duet.devtools.fuzz.figures import Figures, Others, Timer
from flux_duet.devtools.fuzz.files import Files, damaged, own_user
from flux_duet.devtools.fuzz.parsers import PARSERS, parse_one
from flux_duet.devtools.fuzz.routes import _meets

pytestmark = pytest.mark.slow

ROUTES = {"/flux_duet/tokens", "/flux_duet/sigmas", "/flux_duet/heatmap"}
FILES = {"damaged encoders", "damaged embeddings", "embeddings signed anew", "entries of the store",
         "settings of the store", "files of prompts", "readings of a heatmap", "folders of captions"}  # fmt: skip
# There is no such reading, no such file is valid, and the other routes refuse only parentheses that are too deep.
NEVER_RIGHT = {"/flux_duet/heatmap", "names of tensors"}
NEVER_WRONG = {kind for kind in PARSERS if "prompts" in kind} | {"settings of the store", "folders of captions"}


def test_odd_input_gives_a_result_or_a_message_of_ours(nano_server, comfy_server):
    figures = going.fuzz(nano_server, comfy_server, 0, 3000, lambda figures: sum(figures.tried.values()) < 500)
    assert figures.faults == []
    assert set(figures.tried) == {*PARSERS, *ROUTES, *FILES, workflows.KIND}
    assert all(figures.refused[kind] for kind in figures.tried if kind not in NEVER_WRONG), "some input is refused"
    assert all(figures.refused[kind] < tried for kind, tried in figures.tried.items() if kind in ROUTES - NEVER_RIGHT)
    assert figures.meanwhile.clock and figures.quiet.clock, "other routes answered, meanwhile and else"


@pytest.mark.parametrize("kind", PARSERS)
def test_a_raw_error_is_a_fault(monkeypatch, kind):
    """The fuzzer distinguishes our messages from Python's."""
    for wrong in (lambda _: int("x"), lambda _: {}["x"]):
        figures = Figures()
        monkeypatch.setitem(PARSERS, kind, (PARSERS[kind][0], wrong))
        parse_one(figures, kind, random.Random(1), 100)
        assert len(figures.faults) == 1 and not figures.held


def test_a_raw_error_for_a_file_is_a_fault_and_so_is_a_folder_in_a_message(tmp_path):
    figures = Figures()
    with own_user(tmp_path / "user"):
        files = Files(figures, tmp_path)
        files.kinds["files of prompts"] = lambda rng, most: (tmp_path / "none").read_bytes()
        files.read_one("files of prompts", random.Random(1), 100)
    assert len(figures.faults) == 1 and "FileNotFoundError" in figures.faults[0]


def test_the_same_seed_gives_the_same_inputs():
    for make in (inputs.text, inputs.shapes, inputs.request, lambda rng, most: damaged(rng, bytes(range(256)) * 9)):
        first, second = (make(random.Random("3 4"), 500) for _ in range(2))
        assert first == second != make(random.Random("3 5"), 500)


def test_time_is_judged_by_what_the_server_worked():
    figures = Figures()
    figures.meanwhile.note(0.5, 0.02)  # a busy machine gave the server no time
    figures.took("prompts", 0.1, 9.0, "the same")
    assert figures.held
    figures.meanwhile.note(0.5, 0.4)
    assert figures.late == ["another route took 400 ms"] and not figures.held
    figures.took("prompts", 1.1, 1.1, "a text")
    assert figures.late[0] == "prompts took 1.10 s: a text"
    assert str(Others()) == "not asked"
    clock = Timer(iter((3.0, 5.0)).__next__)
    assert clock.read()[0] == 2.0


def test_which_answers_fell_into_a_request():
    spans = [(1.0, 2.0), (3.0, 4.0)]
    cases = {(0.0, 0.9): False, (0.5, 1.1): True, (1.2, 1.3): True, (2.1, 2.9): False, (2.5, 5.0): True,
             (4.1, 9.0): False}  # fmt: skip
    assert {case: _meets(spans, *case) for case in cases} == cases
