"""The nodes' help pages: each has its node's picture, and all its pictures exist."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "js" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LINK = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_its_node(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert f"images/nodes/{page.stem}.jpg" in [target for _, target in links], "dev.py run devtools.portraits"
    for alternative, target in links:
        assert (DOCS / target).is_file(), target
        assert alternative.strip(), f"{target} has no text for those who do not see it"


def test_every_picture_is_on_a_page_and_none_is_large():
    linked = {DOCS / target for page in PAGES for _, target in LINK.findall(page.read_text(encoding="utf-8"))}
    pictures = {path for path in (DOCS / "images").rglob("*") if path.is_file()}
    assert pictures == linked
    assert max(path.stat().st_size for path in pictures) < 150_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_when_not_to_use_the_node(page):
    text = page.read_text(encoding="utf-8")
    assert "not for" in text.lower()


def test_what_a_heatmap_costs_is_what_was_measured():
    """It once said "about 1 % of a step", which was not measured."""
    cost = next(
        part
        for part in (DOCS / "FluxDuetHeatmap.md").read_text(encoding="utf-8").split("\n\n")
        if part.startswith("**Cost:**")
    )
    row = next(
        line
        for line in (DOCS.parents[1] / "bench" / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| heatmap |")
    )
    ratios = re.findall(r"\b[01]\.\d{3}\b", cost)
    assert len(ratios) == 6 and all(ratio in row for ratio in ratios) and "1 % of a step" not in cost
