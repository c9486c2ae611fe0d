"""The texts of the panels in js/, and their translations.

The scripts hold the English texts, each in a call of `t`. js/languages/LANGUAGE.json maps each text to its translation;
the front end reads the file of the user's language.
"""

import json
import re
from pathlib import Path

from . import ROOT

JS = ROOT / "js"
LITERAL = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
CALL = re.compile(rf"\bt\(\s*({LITERAL}(?:\s*\+\s*{LITERAL})*)")


def scripts() -> list[Path]:
    return sorted(JS.rglob("*.?js")) + sorted(JS.glob("*.js"))


def texts() -> list[str]:
    """Every English text once, script by script."""
    return list(dict.fromkeys(text for path in scripts() for text in texts_of(path.read_text(encoding="utf-8"))))


def texts_of(script: str) -> list[str]:
    return ["".join(map(_value, re.findall(LITERAL, call))) for call in CALL.findall(script)]


def _value(literal: str) -> str:
    """The text of a JavaScript literal."""
    inside = literal[1:-1].replace("\\'", "'") if literal[0] == "'" else literal[1:-1]
    return json.loads('"' + re.sub(r'(?<!\\)"', r"\"", inside) + '"')


def table(language: str) -> dict[str, str]:
    path = JS / "languages" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def missing(language: str) -> list[str]:
    known = table(language)
    return [text for text in texts() if not known.get(text, "").strip()]
