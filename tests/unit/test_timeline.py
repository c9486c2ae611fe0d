"""Points in time of a run, the text of timelines, and the prompts that act at a moment."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.condition.controls import ClipTimeline, Keyframe, T5Timeline
from flux_duet.nodes.condition.time.scheduling import never_acting, prompt_texts, timeline_lines
from flux_duet.nodes.condition.time.timeline import Entry, parse, playing, written
from flux_duet.nodes.condition.timepoints import ALWAYS, PERCENT, SIGMA, STEP, Clock, Moment, Point, Range
from flux_duet.nodes.streams import Source, Span, T5Text

SHIFT = math.exp(1.15)


def sigma_at(share: float) -> float:
    """ModelSamplingFlux.percent_to_sigma."""
    if share <= 0:
        return 1.0
    return 0.0 if share >= 1 else SHIFT / (SHIFT + (1 / (1 - share) - 1))


SIGMAS = [sigma_at(step / 10) for step in range(11)]
RUN = Clock(SIGMAS, sigma_at)


@pytest.mark.parametrize(
    "text, point",
    [
        ("8", Point(8, STEP)),
        ("0", Point(0, STEP)),
        ("40%", Point(40, PERCENT)),
        ("12.5%", Point(12.5, PERCENT)),
        ("s0.7", Point(0.7, SIGMA)),
        (" s1 ", Point(1, SIGMA)),
        ("40 %", Point(40, PERCENT)),
        (" 12.5\t% ", Point(12.5, PERCENT)),
        ("s0.72345678", Point(0.72345678, SIGMA)),
        ("1000000", Point(1e6, STEP)),
        ("0.0000001%", Point(1e-7, PERCENT)),
    ],
)
def test_points(text, point):
    assert Point.parse(text) == point and Point.parse(str(point)) == point


@pytest.mark.parametrize(
    "text", ["", "eight", "-1", "8.5", "101%", "s", "s0.7%", "@8", "0x8", "1e3", "nan", "s0.7 %", "4 0%", "\u0664"]
)
def test_other_times_are_refused(text):
    with pytest.raises(ValueError, match="for a time, expected"):
        Point.parse(text)


@given(st.floats(0, 100), st.sampled_from([PERCENT, SIGMA]))
def test_points_are_written_with_every_digit(value, unit):
    assert Point.parse(str(Point(value, unit))) == Point(value, unit)


@pytest.mark.parametrize(
    "start, end",
    [
        ("60%", "40%"),
        ("40%", "40%"),
        ("8", "4"),
        ("8", "8"),
        ("s0.5", "s0.7"),
        ("s0.5", "s0.5"),
        ("0%", "0%"),
        ("4", "0"),
        ("0%", "s1"),
        ("100%", "100%"),
        ("100%", "s0.1"),
        ("s0", "100%"),
        ("8", "0%"),
    ],
)
def test_a_range_that_never_holds_says_so(start, end):
    with pytest.raises(ValueError, match="which is empty"):
        Range.parse(start, end)
    made = Range(Point.parse(start), Point.parse(end))
    assert not any(made.holds(Moment(sigma, RUN)) for sigma in SIGMAS[:-1])


@pytest.mark.parametrize(
    "start, end",
    [
        ("0%", "100%"),
        ("40 %", "60 %"),
        ("4", "8"),
        ("s0.7", "s0.5"),
        ("0", "s0.5"),
        ("8", "40%"),
        ("s0.7", "8"),
        ("s1", "s0"),
    ],
)
def test_other_ranges_are_read(start, end):
    assert Range.parse(start, end) == Range(Point.parse(start), Point.parse(end))


def test_a_point_is_reached_at_its_step_and_not_before():
    for unit, point in ((STEP, Point(3, STEP)), (PERCENT, Point(30, PERCENT)), (SIGMA, Point(SIGMAS[3], SIGMA))):
        reached = [Moment(sigma, RUN).reached(point) for sigma in SIGMAS[:-1]]
        assert reached == [False] * 3 + [True] * 7, unit
    # float32 schedules round otherwise than the point does
    assert Moment(float(torch.tensor(SIGMAS[3]) * (1 + 2e-7)), RUN).reached(Point(3, STEP))
    assert not Moment(1e-6, RUN).reached(Point(100, PERCENT)) and not Moment(1e-6, RUN).reached(Point(99, STEP))


def test_the_second_of_two_samplers_counts_on():
    later = Clock(SIGMAS[4:], sigma_at, first=4)
    for point in (2, 4, 7):
        reached = [Moment(sigma, later).reached(Point(point, STEP)) for sigma in SIGMAS[4:-1]]
        assert reached == [step >= point for step in range(4, 10)]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(1e-3, 1))
def test_ranges_that_touch_leave_no_moment_out_and_share_none(percents, sigma):
    edges = [Point(value, PERCENT) for value in sorted({0.0, 100.0, *percents})]
    holding = [Range(a, b).holds(Moment(sigma, RUN)) for a, b in zip(edges, edges[1:], strict=False)]
    assert sum(holding) == 1 and ALWAYS.holds(Moment(sigma, RUN))


def test_what_a_clock_does_not_know_is_asked_for():
    for clock, point, wanted in ((Clock(), "8", "sigmas"), (Clock(), "40%", "model")):
        with pytest.raises(ValueError, match=f"connect `{wanted}`"):
            clock.sigma(Point.parse(point))
    assert Clock().sigma(Point.parse("0%")) == math.inf and Clock().sigma(Point.parse("s0.3")) == 0.3


# ---- as text

LINES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
TEXTS = st.lists(LINES, min_size=1, max_size=3).map("\n".join).map(str.strip).filter(bool)
TEXTS = st.one_of(
    TEXTS,
    st.sampled_from(
        ["@8 no mark", "\\@8", "a\n  @b", "a\n@40% b", "\\\\@x", "mail a@b", "% of it", ".. 6", "... and so on", "%b"]
    ),
)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.data())
def test_every_timeline_can_be_written_and_read(texts, data):
    times = sorted(data.draw(st.sets(st.integers(1, 99), min_size=2 * len(texts), max_size=2 * len(texts))))
    unit = data.draw(st.sampled_from([STEP, PERCENT]))
    entries = [Entry(texts[0])]
    for number, text in enumerate(texts[1:], 1):
        start = Point(times[2 * number], unit)
        fade = data.draw(st.sampled_from([start, Point(times[2 * number + 1], unit)]))
        entries.append(Entry(text, start, fade))
    assert parse(written(entries)) == entries


def test_the_text_of_a_timeline():
    text = "a red circle\n(at night:1.2)\n@4 a square\n@6..8 a star"
    assert parse(text) == [
        Entry("a red circle\n(at night:1.2)"),
        Entry("a square", Point(4, STEP), Point(4, STEP)),
        Entry("a star", Point(6, STEP), Point(8, STEP)),
    ]
    assert parse("@0 a\n@s0.5 b")[0] == Entry("a") and parse("@s1 a\n@s0.5 b")[1].start == Point(0.5, SIGMA)
    assert parse("  a prompt, as it was \n") == [Entry("  a prompt, as it was \n")], "a plain prompt stays as it is"
    assert parse("a\n @ 4 b") == parse("a\n@4 b"), "spaces around a mark"
    assert parse("a\n@4\n@8 b")[1] == Entry("", Point(4, STEP), Point(4, STEP)), "an empty prompt is one"


@pytest.mark.parametrize(
    "text, words",
    [
        ("a\n@john smith", r"'john' for a time.* write \\@john\."),
        ("a\n@-1", r"write \\@-1"),
        ("a\n@8.5 b", r"or a sigma \(s0.7\)\.$"),
        ("a\n@8x b", r"\(8..12\)\.$"),
        ("a\n@2 .. six", r"'2 .. six' for a time"),
        ("a\n@2 .. b", "on the next line"),
        ("@8 a", "starts at @8"),
        ("a\n@8 b\n@4 c", "4 after 8"),
        ("a\n@8 b\n@8 c", "8 after 8"),
        ("a\n@8..4 b", "4 after 8"),
        ("a\n@s0.3 b\n@s0.6 c", "s0.6 after s0.3"),
        ("a\n@8..40% b", "one unit"),
        ("a\n@8 b\n@40% c", "one unit"),
        ("a\n@0 b", "never drawn"),
        ("a\n@8..12 b\n@10 c", "10 after 12"),
        ("@0..4 a", "@0..4"),
    ],
)
def test_what_no_timeline_means_is_reported(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


def test_the_report_shows_every_unit_that_is_known():
    entries = parse("1\n@3 2\n@5..7 3")
    assert timeline_lines("T5", entries, RUN) == [
        "T5 from the start: 1",
        "T5 from step 3, 30.0 % of time, sigma 0.881: 2",
        "T5 fading in from step 5, 50.0 % of time, sigma 0.760 to step 7, 70.0 % of time, sigma 0.575: 3",
    ]
    assert timeline_lines("T5", entries[:2], Clock())[1] == "T5 from step 3: 2"
    assert "step 4, 40 % of time" in timeline_lines("CLIP", parse("1\n@40% 2"), RUN)[1]


def test_the_report_says_what_the_prompts_are():
    known = T5Text((Span(torch.zeros(1, 4, 8)),), Source("a  red\ncircle " + "\u6771" * 80, [], {}, "a"))
    entries = parse("1\n@3 2\n@5 3")
    texts = prompt_texts(entries, [known, T5Text(known.spans), replace(known, source=Source("", [], {}, "a"))])
    assert texts == ["a red circle " + "\u6771" * 43 + " ...", "prompt 2", "(empty)"]
    assert timeline_lines("T5", entries, RUN, texts)[1] == "T5 from step 3, 30.0 % of time, sigma 0.881: prompt 2"


@pytest.mark.parametrize(
    "text, idle",
    [
        ("1\n@3 2", []),
        ("1\n@9 2", []),
        ("1\n@10 2", [1]),
        ("1\n@90 2", [1]),
        ("1\n@4 2\n@90..95 3", [2]),
        ("1\n@8..20 2", []),
        ("1\n@95% 2", [1]),
        ("1\n@85% 2\n@88% 3", [1]),
        ("1\n@s0.9..s0.05 2\n@s0.01 3", [2]),
        ("1\n@100% 2", [1]),
        ("1", []),
    ],
)
def test_prompts_that_never_act_in_a_run_are_reported(text, idle):
    entries = parse(text)
    texts = [entry.text for entry in entries]
    lines = never_acting("T5", entries, RUN, texts)
    assert [line.rsplit(" ", 1)[1] for line in lines] == [texts[at] for at in idle]
    assert all("acts in none of the run's 10 steps" in line for line in lines)
    timeline = T5Timeline(
        tuple(
            Keyframe(Span(torch.full((1, 2, 4), float(at))), entry.start, entry.fade, rows=2)
            for at, entry in enumerate(entries)
        )
    )
    seen = {value for sigma in SIGMAS[:-1] for value in playing(timeline, Moment(sigma, RUN)).tensor.flatten().tolist()}
    assert seen == {float(at) for at in range(len(entries)) if at not in idle}, "and the others are seen"


def test_a_run_that_starts_late_skips_prompts():
    late = Clock(SIGMAS[6:], sigma_at)
    assert len(never_acting("CLIP", parse("1\n@20% 2\n@40% 3\n@80% 4"), late, ["1", "2", "3", "4"])) == 2
    assert never_acting("CLIP", parse("1\n@20% 2\n@40% 3"), Clock(SIGMAS), ["1", "2", "3"]) == [], (
        "not known without a model"
    )


# ---- the prompts at a moment


def keyframes(kind, *times, shape=(1, 4)):
    points = [Point(0, STEP) if time is None else Point(time[0], STEP) for time in times]
    fades = [Point(0, STEP) if time is None else Point(time[1], STEP) for time in times]
    spans = [Span(torch.full(shape, float(number))) for number in range(len(times))]
    return kind(tuple(Keyframe(*each, rows=2) for each in zip(spans, points, fades, strict=True)))


def test_clip_fades_in_equal_steps():
    timeline = keyframes(ClipTimeline, None, (3, 6), (8, 8))
    played = [playing(timeline, Moment(sigma, RUN)).tensor[0, 0].item() for sigma in SIGMAS[:-1]]
    assert played == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 2, 2])
    between = (SIGMAS[4] + SIGMAS[5]) / 2  # a solver's evaluation inside step 4
    assert playing(timeline, Moment(between, RUN)).tensor[0, 0].item() == pytest.approx(0.5)


def test_t5_fades_with_both_prompts_side_by_side():
    timeline = keyframes(T5Timeline, None, (3, 6), shape=(1, 5, 4))
    span = playing(timeline, Moment(SIGMAS[4], RUN))
    assert span.tensor.shape == (1, 2 + 2 + 3, 4)
    assert span.bias.exp()[0].tolist() == pytest.approx([0.5, 0.5, 0.5, 0.5, 1, 1, 1])
    for sigma, number in ((SIGMAS[2], 0), (SIGMAS[6], 1)):
        assert playing(timeline, Moment(sigma, RUN)) is timeline.keyframes[number].span
