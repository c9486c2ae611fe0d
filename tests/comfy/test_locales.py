"""locales/ is what devtools/locales.py writes, and every text of every node has a translation in every language."""

import json
import re

import pytest

from flux_duet.devtools import locales


@pytest.mark.parametrize("language", locales.LANGUAGES)
def test_every_text_is_translated(language):
    assert locales.missing(language) == []
    unused = locales.table(language).keys() - set(locales.texts())
    assert not unused, "texts that no node has"


@pytest.mark.parametrize("language", locales.LANGUAGES)
def test_shorthand_and_numbers_survive(language):
    """A translation that changes @8..12 would show a syntax that does not work."""
    for english, translated in locales.table(language).items():
        assert re.findall(r"@\S*\d", english) == re.findall(r"@\S*\d", translated), english
        numbers = [sorted(re.findall(r"\d+(?:\.\d+)?", text)) for text in (english, translated)]
        assert numbers[0] == numbers[1], english


def test_the_files_are_those_that_the_tool_writes():
    """`python dev.py run devtools.locales` writes them."""
    wanted = dict(locales.files())
    found = {path: path.read_text(encoding="utf-8") for path in locales.LOCALES.rglob("*.json")}
    assert found.keys() == wanted.keys()
    for path, content in wanted.items():
        assert found[path] == content, path


def test_signs_that_the_front_end_would_read_are_quoted():
    definitions = json.dumps(locales.node_defs(lambda text: text))
    assert "{'@'}8" in definitions and not re.search(r"[^']@", definitions)
