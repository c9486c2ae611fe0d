"""POST /flux_duet/tokens: a prompt's tokens, requested by the front end while a prompt is typed. Imports ComfyUI.

The response has Prompt Inspector's data. The route has its own tokenizers, with FLUX.1's vocabularies and without a
folder of embeddings, so no request can load a model or open a file. Therefore `embedding:name` is tokenized as text if
the embeddings folders have a file of this name. If not, it is left out, as in a run, and reported in the notes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from functools import cache
from threading import Lock
from typing import Any

import folder_paths
from aiohttp import web

from ..compat.text_encoders import clip_l_tokenizer, t5_tokenizer
from ..encode.choices import EMBEDDING, MODES, OFF
from ..encode.tokens.inspection import CLIP, T5, has_inversion, named_among, notes, read_by_clip, read_by_t5
from ..encode.tokens.lengths import COMFYUI, LENGTHS
from ..encode.tokens.weights import TooDeep
from ..flux1_sizes import CLIP_POSITIONS, LONG_CLIP_POSITIONS
from .http import Refused, answered, shown

MOST_CHARACTERS = 40_000  # about 6,000 words
POSITIONS = (CLIP_POSITIONS, LONG_CLIP_POSITIONS)
BOTH = "both"  # the encoders to tokenize for: BOTH, CLIP or T5
DEFAULTS = {"length": COMFYUI, "t5_weights": EMBEDDING, "clip_weights": True, "clip_positions": CLIP_POSITIONS,
            "roads": BOTH}  # fmt: skip
CHOICES = {"length": list(LENGTHS), "t5_weights": MODES, "clip_weights": (True, False),
           "clip_positions": POSITIONS, "roads": (BOTH, CLIP, T5)}  # fmt: skip
HALF = re.compile("[\ud800-\udfff]")
_building = Lock()


async def tokens(request: web.Request) -> web.Response:
    # Building the tokenizers takes a second, tokenizing a long text a few milliseconds.
    return await answered(request, checked, _answer)


def _answer(fields: dict[str, Any]) -> dict:
    try:
        return read(**fields)
    except TooDeep as error:
        raise Refused(400, str(error)) from error


def checked(body: Any) -> dict[str, Any]:
    """All fields of a request, with defaults for missing ones. Raises Refused for an invalid body."""
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        raise Refused(400, "expected a JSON object whose `text` is a string")
    if unknown := sorted(body.keys() - DEFAULTS.keys() - {"text"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected text, {', '.join(DEFAULTS)}")
    for name, choices in CHOICES.items():
        given = body.get(name, DEFAULTS[name])
        if not any(given == choice and type(given) is type(choice) for choice in choices):
            expected = ", ".join(map(json.dumps, choices))
            raise Refused(400, f"got {shown(given)} for `{name}`; expected one of {expected}")
    _check_length(body["text"])
    if HALF.search(body["text"]):
        raise Refused(400, "`text` has half a character (a lone surrogate); send complete characters")
    return {**DEFAULTS, **body}


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise Refused(413, f"got a text of {len(text):,} characters, expected at most {MOST_CHARACTERS:,}")
    # T5's tokenizer normalizes text (NFKC), which expands some characters to up to 18.
    counts = Counter(text) if not text.isascii() else {}
    length = sum(count * len(unicodedata.normalize("NFKC", character)) for character, count in counts.items())
    if length > MOST_CHARACTERS:
        raise Refused(413, f"got a text of {length:,} characters after Unicode normalization (NFKC), expected at most "
                           f"{MOST_CHARACTERS:,}")  # fmt: skip


def read(text: str, length: str, t5_weights: str, clip_weights: bool, clip_positions: int, roads: str = BOTH) -> dict:
    """Prompt Inspector's JSON for each encoder, and its notes. Offsets count UTF-16 code units, as in JavaScript."""
    clip_l, t5 = _tokenizers(clip_positions)
    exists = named_among(folder_paths.get_filename_list("embeddings")) if has_inversion(clip_l, text) else None
    readings = []
    if roads != T5:
        readings.append(read_by_clip(clip_l, text, clip_weights, exists))
    if roads != CLIP:
        readings.append(read_by_t5(t5, text, length, t5_weights != OFF, exists))
    tables = [reading.as_json() for reading in readings]
    at = utf16(text)
    if at:
        for table in tables:
            table["starts"], table["ends"] = [at[x] for x in table["starts"]], [at[x] for x in table["ends"]]
            table["ignored"] = [[at[start], at[end]] for start, end in table["ignored"]]
    return {"readings": tables, "notes": notes(readings)}


def utf16(text: str) -> list[int] | None:
    """The UTF-16 offset of each character, and of the end; None if they equal Python's offsets."""
    if text.isascii() or max(text) <= "\uffff":
        return None
    at = [0]
    for character in text:
        at.append(at[-1] + 1 + (character > "\uffff"))
    return at


def _tokenizers(clip_positions: int) -> tuple:
    with _building:  # concurrent requests build them once
        return _clip_l(clip_positions), _t5()


@cache
def _clip_l(positions: int):
    return clip_l_tokenizer(positions)


@cache
def _t5():
    return t5_tokenizer()
