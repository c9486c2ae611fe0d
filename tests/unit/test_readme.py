"""README is short, its moving picture is small, and docs/ is complete: every page is linked, every node is listed, and
every measurement has a command and a date."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS, BYTES = 1_000, 2_000_000
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)[^)]*\)")
DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")
COMMAND = re.compile(r"`python dev\.py [a-z]+[^`]*`")


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def words(text: str) -> list[str]:
    """What a reader reads: without code blocks, links' targets and the texts of pictures."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = LINK.sub(lambda found: "" if found[1] else found[2], text)
    return re.findall(r"[\w'.\-]*\w", text)


def test_readme_can_be_read_in_a_few_minutes():
    assert len(words(README)) <= WORDS


def test_readme_has_no_placeholder():
    """The pack's address is not written anywhere: each way to install it does without."""
    assert not re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|<[a-z ]*(?:url|address)[a-z ]*>", README)
    assert re.search(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)[1] in README


def test_the_moving_picture_moves_and_is_small():
    from PIL import Image

    (path,) = [ROOT / target for shown, _, target in LINK.findall(README) if shown and target.endswith(".webp")]
    assert path.stat().st_size < BYTES
    with Image.open(path) as movie:
        assert movie.is_animated


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.stem)
def test_a_picture_says_what_it_shows(page):
    for shown, text, target in LINK.findall(page.read_text(encoding="utf-8")):
        assert not shown or len(text) > 20, target


def test_the_index_links_every_page():
    linked = {target for _, _, target in LINK.findall(read("README.md"))}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= linked


def test_every_node_is_among_the_stages():
    titles = {page.read_text("utf-8").splitlines()[0][2:] for page in (ROOT / "js" / "docs").glob("*.md")}
    assert titles - set(re.findall(r"\*\*([^*]+)\*\*", read("stages.md"))) == set()


def test_every_measurement_has_a_command_and_a_date():
    for section in read("measurements.md").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        rows = [line for line in lines if line.startswith("|")][2:]
        told = " ".join(line for line in lines if not line.startswith("|"))
        for row in rows:
            where = row if DATE.search(row) or COMMAND.search(row) else told
            assert DATE.search(where) and COMMAND.search(where), f"{title}: {row}"
