"""The report of `dev.py check`, and how its sections are run, without running any model."""

import json

import pytest

from flux_duet.bench.measure import Comparison, size
from flux_duet.check.report import DONE, FAILED, NOT_RUN, Cost, Equal, Fact, Outcome, Report
from flux_duet.check.sections import Budget, NotRun, Section, run_all

TIME = Comparison("a step", [1.0, 2.0, 4.0], [1.1, 2.0, 4.0])
PEAK = Comparison("a step", [10e9, 10e9, 10e9], [11e9, 11e9, 11e9], size)
ABOUT = {"device": "a card", "ComfyUI": "0.30.0"}
FINE = Outcome("a", "the first", DONE, 1.5, [Equal("decode", True), Cost(TIME, PEAK, 1.25), Fact("loading", 3.5, "s")])


def report(*outcomes: Outcome, **hidden: str) -> Report:
    return Report(ABOUT, outcomes, hidden)


def test_numbers_are_medians_and_ratios_by_round():
    (section,) = report(FINE).as_json()["sections"]
    equal, cost, fact = section["rows"]
    assert equal == {"kind": "equal", "what": "decode", "equal": True, "detail": ""}
    assert cost["seconds"] == {"native": 2.0, "ours": 2.0, "ratio": 1.0, "lowest": 1.0, "highest": 1.1, "rounds": 3}
    assert (cost["bytes"]["ratio"], cost["computed_ratio"]) == (1.1, 1.25)
    assert fact == {"kind": "fact", "what": "loading", "value": 3.5, "unit": "s"}
    assert json.loads(json.dumps(report(FINE).as_json()))["about"] == ABOUT


def test_memory_is_not_invented_on_a_cpu():
    found = report(Outcome("a", "the first", DONE, 1.0, [Cost(TIME)]))
    assert found.as_json()["sections"][0]["rows"][0]["bytes"] == "not measured on a CPU"
    assert "| a step | 2 s | 2 s | 1.000 | 1.000, 1.100 |  | not measured on a CPU |" in found.as_markdown()


def test_markdown_has_the_numbers():
    text = report(FINE).as_markdown()
    assert "**Passed**: 1 of 1 comparisons are equal bit for bit; nothing failed." in text
    assert "| device | a card |" in text
    assert "| a step | 2 s | 2 s | 1.000 | 1.000, 1.100 | 1.250 | 1.100 (11 GB) |" in text
    assert "| decode | equal |" in text and "| loading | 3.5 s |" in text


def test_a_difference_is_no_pass():
    found = report(Outcome("a", "the first", DONE, 1.0, [Equal("decode", False, "by up to 0.1")]))
    assert not found.passed
    assert "**NOT passed**: 0 of 1 comparisons are equal bit for bit; different: decode;" in found.as_markdown()
    assert "| decode | **different**: by up to 0.1 |" in found.as_markdown()


def test_a_failure_is_no_pass_and_has_its_traceback():
    found = report(FINE, Outcome("b", "the second", FAILED, why="Traceback ...\nValueError: no room\n"))
    assert not found.passed
    assert "### Failed: the second (`b`)\n\n```\nTraceback ...\nValueError: no room\n```" in found.as_markdown()


def test_what_was_not_run_is_told_once_for_each_reason():
    reasons = {"b": "no GPU", "c": "no GPU", "d": "late"}
    left_out = [Outcome(name, name, NOT_RUN, why=why) for name, why in reasons.items()]
    found = report(FINE, *left_out)
    assert found.passed
    assert "not run: 3 of 4 sections" in found.summary()
    assert "* not run: `b`, `c`: no GPU\n* not run: `d`: late" in found.as_markdown()


def test_users_folders_are_hidden_the_inner_ones_first():
    failed = Outcome("a", "the first", FAILED, why='File "/home/me/ComfyUI/main.py", or /home/me/x')
    found = Report(ABOUT, [failed], {"/home/me": "~", "/home/me/ComfyUI": "ComfyUI"})
    assert found.as_json()["sections"][0]["why"] == 'File "ComfyUI/main.py", or ~/x'
    assert "/home/me" not in found.as_markdown()


def test_rows_are_renamed():
    assert [row.renamed("new").what for row in FINE.rows] == ["new"] * 3


# ---- running sections


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(sections, total: float = 10.0, clock=None):
    return run_all(sections, None, Budget(total, 0.0, clock or Clock()), lambda text: None)


def rows(*given, then: BaseException | None = None, takes: float = 0.0, clock=None):
    def section(kit):
        if clock:
            clock.now += takes
        yield from given
        if then:
            raise then

    return section


def test_a_failed_section_keeps_its_rows_and_the_others_run():
    failed, fine = run([
        Section("a", "a", rows(Equal("decode", True), then=ValueError("planted"))), Section("b", "b", rows()),
    ])  # fmt: skip
    assert (failed.status, fine.status) == (FAILED, DONE)
    assert len(failed.rows) == 1 and "ValueError: planted" in failed.why and "Traceback" in failed.why


def test_a_section_that_does_not_apply_says_why():
    (found,) = run([Section("a", "a", rows(then=NotRun("no GPU here")))])
    assert (found.status, found.why) == (NOT_RUN, "no GPU here")


def test_a_section_that_would_take_too_long_is_not_run_and_a_shorter_one_is():
    clock = Clock()
    first, long, short = run(
        [
            Section("first", "", rows(takes=6, clock=clock)),
            Section("long", "", rows(), lambda kit: 5.0),
            Section("short", "", rows(), lambda kit: 3.0),
        ],
        clock=clock,
    )
    assert (first.status, first.seconds, long.status, short.status) == (DONE, 6.0, NOT_RUN, DONE)
    assert long.why == "it would take about 5 s and 4 s of 10 are left; --minutes raises the limit"


def test_nothing_is_run_after_the_limit():
    clock = Clock()
    first, second = run([Section("a", "", rows(takes=12, clock=clock)), Section("b", "", rows())], clock=clock)
    assert first.status == DONE
    assert (second.status, second.why) == (NOT_RUN, "0 s of 10 are left; --minutes raises the limit")


def test_the_outcomes_so_far_are_given_out_after_each_section():
    seen = []
    run_all(
        [Section("a", "", rows()), Section("b", "", rows())], None, Budget(10, 0.0, Clock()), lambda text: None,
        lambda done, to_come: seen.append(([each.name for each in done], [each.why for each in to_come])),
    )  # fmt: skip
    assert seen == [(["a"], ["the check ended before it"]), (["a", "b"], [])]


def test_an_interruption_still_gives_all_outcomes():
    found = run([Section("a", "", rows()), Section("b", "", rows(then=KeyboardInterrupt())), Section("c", "", rows())])
    assert [each.status for each in found] == [DONE, NOT_RUN, NOT_RUN]
    assert [each.why for each in found[1:]] == ["interrupted"] * 2


@pytest.mark.parametrize("minutes", [9, 0.5])
def test_the_limit_counts_from_the_start(minutes):
    clock = Clock()
    budget = Budget(60 * minutes, 0.0, clock)
    clock.now = 12.0
    assert budget.left() == 60 * minutes - 12
