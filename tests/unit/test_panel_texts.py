"""The panels' texts: each is in a call of `t`, and has a translation in every language of the front end."""

import re

import pytest

from flux_duet.devtools import panel_texts
from flux_duet.devtools.locales import LANGUAGES

PLACES = re.compile(r"\{\w+\}")
KEPT = re.compile(r"\d+(?:\.\d+)?|@|//|/\*|`[^`]*`|<\w+>|\{a\|b\}")  # numbers and syntax
COMMENT = re.compile(r"^\s*(?://|/?\*).*$|(?<=[;{,)]) //.*$", re.MULTILINE)
VALUE = re.compile(r"\$\{[^}]*\}|\\u[0-9a-f]{4}")  # values and signs
TEXTS = re.compile(r"const TEXTS = \{.*?^\};", re.MULTILINE | re.DOTALL)
# A sentence or a title, wherever it is: a capital letter, and a word after it.
SAID = re.compile(r"""["'`][A-Z][a-z0-9]+ [^"'`\n]*[a-z][^"'`\n]*["'`]""")
# A word where it is shown, or in a table of texts; a name such as LoRA is none.
SHOWN = re.compile(
    r"""(?:title|textContent|ariaLabel|placeholder|summary|"aria-label"|"aria-description")\s*[:=]\s*"""
    r"""(["'`][^"'`\n]*[a-z]{2}[^"'`\n]*["'`])"""
)
WORD = re.compile(r"""(?::|=>|\?)\s*(["'`][^"'`\n]*[a-z]{2}[^"'`\n]*["'`])""")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_a_translation_with_the_same_places(language):
    assert panel_texts.missing(language) == [], "dev.py run devtools.locales --missing prints them"
    table = panel_texts.table(language)
    assert not table.keys() - set(panel_texts.texts()), "texts that no panel has"
    for english, translated in table.items():
        assert sorted(PLACES.findall(english)) == sorted(PLACES.findall(translated)), english
        assert sorted(KEPT.findall(english)) == sorted(KEPT.findall(translated)), english


@pytest.mark.parametrize("path", panel_texts.scripts(), ids=lambda path: path.relative_to(panel_texts.JS).as_posix())
def test_no_text_escapes_translation(path):
    script = panel_texts.CALL.sub("", COMMENT.sub("", path.read_text(encoding="utf-8")))
    script = VALUE.sub("", script)
    tables = "".join(TEXTS.findall(script))
    assert SAID.findall(script) + SHOWN.findall(script) + WORD.findall(tables) == []


@pytest.mark.parametrize("call", ["t(text)", "t(`{count} cut`)"])
def test_a_text_is_written_where_it_is_found(call):
    assert panel_texts.texts_of(f"const a = {call};") == []


@pytest.mark.parametrize("path", panel_texts.scripts(), ids=lambda path: path.relative_to(panel_texts.JS).as_posix())
def test_every_call_is_found(path):
    """A call with anything but literals would go without a translation."""
    script = COMMENT.sub("", path.read_text(encoding="utf-8")).replace("function t(text, values", "")
    assert len(re.findall(r"\bt\(", script)) == len(panel_texts.texts_of(script))


def test_a_text_of_several_parts_is_one():
    script = """t("A {b} " + "c's", { b })  t('Got "{word}"\\\\@')"""
    assert panel_texts.texts_of(script) == ["A {b} c's", 'Got "{word}"\\@']
