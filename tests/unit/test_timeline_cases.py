"""Texts that Python and the front end must read alike; for the front end see browser/timeline/test_timeline_text.py."""

import json
from pathlib import Path

import pytest

from flux_duet.nodes.condition.time.timeline import Entry, parse
from flux_duet.nodes.condition.timepoints import Point

CASES = json.loads(Path(__file__).parents[1].joinpath("timelines.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"]))
def test_a_timeline_is_read_as_agreed(case):
    if case.get("wrong"):
        with pytest.raises(ValueError):
            parse(case["text"])
        return
    expected = [Entry(text, Point.parse(start), Point.parse(fade)) for text, start, fade in case["entries"]]
    assert parse(case["text"]) == expected
