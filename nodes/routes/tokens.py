"""What the front end asks while a prompt is typed: POST /flux_duet/tokens gives its tokens. Imports ComfyUI.

The answer is Prompt Inspector's, by tokenizers of the route's own, which know FLUX.1's vocabularies and no folder: no
request can load a model or open a file. `embedding:name` is therefore read as text here, if the embeddings folders list
a file of that name; if they do not, it is left out, as in the run, and told.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
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

MOST_CHARACTERS = 40_000  # some 6,000 words
POSITIONS = (CLIP_POSITIONS, LONG_CLIP_POSITIONS)
BOTH = "both"  # which readings are wanted, or CLIP or T5: a prompt box shows one
DEFAULTS = {"length": COMFYUI, "t5_weights": EMBEDDING, "clip_weights": True, "clip_positions": CLIP_POSITIONS,
            "roads": BOTH}  # fmt: skip
CHOICES = {"length": list(LENGTHS), "t5_weights": MODES, "clip_weights": (True, False),
           "clip_positions": POSITIONS, "roads": (BOTH, CLIP, T5)}  # fmt: skip
HALF = re.compile("[\ud800-\udfff]")
_building = Lock()
_t5_reader = ThreadPoolExecutor(1, "flux_duet")


async def tokens(request: web.Request) -> web.Response:
    # Tokenizers take a second to build, and long texts a few milliseconds.
    return await answered(request, checked, _answer)


def _answer(asked: dict[str, Any]) -> dict:
    try:
        return read(**asked)
    except TooDeep as error:
        raise Refused(400, str(error)) from error


def checked(asked: Any) -> dict[str, Any]:
    """Every field, with the default where it was left out. Raises Refused for anything else."""
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        raise Refused(400, "expected a JSON object whose `text` is a string")
    if unknown := sorted(asked.keys() - DEFAULTS.keys() - {"text"}):
        raise Refused(400, f"got the unknown field {unknown[0][:40]!r}; expected text, {', '.join(DEFAULTS)}")
    for name, choices in CHOICES.items():
        given = asked.get(name, DEFAULTS[name])
        if not any(given == choice and type(given) is type(choice) for choice in choices):
            expected = ", ".join(map(json.dumps, choices))
            raise Refused(400, f"got {shown(given)} for `{name}`; expected one of {expected}")
    _check_length(asked["text"])
    if HALF.search(asked["text"]):
        raise Refused(400, "`text` holds half a character (a lone surrogate); send whole ones")
    return {**DEFAULTS, **asked}


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise Refused(413, f"got a text of {len(text):,} characters, expected at most {MOST_CHARACTERS:,}")
    # T5 reads some signs as the words that they are short for, up to 18 characters each.
    signs = Counter(text) if not text.isascii() else {}
    written = sum(count * len(unicodedata.normalize("NFKC", sign)) for sign, count in signs.items())
    if written > MOST_CHARACTERS:
        raise Refused(413, f"got a text of {written:,} characters, if signs that stand for several are written out; "
                           f"expected at most {MOST_CHARACTERS:,}")  # fmt: skip


def read(text: str, length: str, t5_weights: str, clip_weights: bool, clip_positions: int, roads: str = BOTH) -> dict:
    """Prompt Inspector's JSON for the streams, and its notes. Places count UTF-16 units, as JavaScript does."""
    clip_l, t5 = _tokenizers(clip_positions)
    exists = named_among(folder_paths.get_filename_list("embeddings")) if has_inversion(clip_l, text) else None
    if roads == CLIP:
        readings = [read_by_clip(clip_l, text, clip_weights, exists)]
    elif roads == T5:
        readings = [read_by_t5(t5, text, length, t5_weights != OFF, exists)]
    else:  # new words tokenize on two cores
        by_t5 = _t5_reader.submit(read_by_t5, t5, text, length, t5_weights != OFF, exists)
        readings = [read_by_clip(clip_l, text, clip_weights, exists), by_t5.result()]
    told = [reading.as_json() for reading in readings]
    at = utf16(text)
    if at:
        for stream in told:
            stream["starts"], stream["ends"] = [at[x] for x in stream["starts"]], [at[x] for x in stream["ends"]]
            stream["ignored"] = [[at[start], at[end]] for start, end in stream["ignored"]]
    return {"readings": told, "notes": notes(readings)}


def utf16(text: str) -> list[int] | None:
    """The place of each character in UTF-16; None where the places are Python's own."""
    if text.isascii() or max(text) <= "\uffff":
        return None
    at = [0]
    for character in text:
        at.append(at[-1] + 1 + (character > "\uffff"))
    return at


def _tokenizers(clip_positions: int) -> tuple:
    with _building:  # two requests at once build them once
        return _clip_l(clip_positions), _t5()


@cache
def _clip_l(positions: int):
    return clip_l_tokenizer(positions)


@cache
def _t5():
    return t5_tokenizer()
