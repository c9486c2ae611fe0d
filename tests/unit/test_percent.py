"""Shares as text: the same rule in every sentence, picture and panel."""

import re
from pathlib import Path

import pytest

from flux_duet.nodes.probe.percent import percent

ROOT = Path(__file__).parents[2]
TEXTS = {
    0.0: "0 %", 1e-5: "0 %", 0.0004: "0.04 %", 0.0043: "0.43 %", 0.043: "4.3 %", 0.0996: "10 %", 0.00996: "1.0 %",
    0.43: "43 %", 0.999: "100 %", 1.0: "100 %", 1.5: "150 %", -0.034: "-3.4 %", -1e-5: "0 %",
}  # fmt: skip


@pytest.mark.parametrize("share, text", TEXTS.items())
def test_two_digits_and_at_most_two_decimals(share, text):
    """A share of 1 once was "1e+02 %" on the sheets of Token Heatmap and Word Ablation."""
    assert percent(share) == text


@pytest.mark.parametrize("share, text", [(0.0, "0 %"), (0.0004, "0 %"), (0.004, "0.4 %"), (0.043, "4 %"), (1, "100 %")])
def test_estimates_have_one(share, text):
    assert percent(share, significant=1) == text


def test_no_other_file_writes_a_share():
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        if path.name not in ("percent.py", "charts.py"):  # an axis has its own round numbers
            assert not re.search(r"\{100 \* .*:\.\S+\} ?%", path.read_text("utf-8")), path
