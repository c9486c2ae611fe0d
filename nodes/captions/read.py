"""A folder's captions as text, and whatever is wrong with its files. Pure."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..disk.given_file import read_given
from .folder import CAPTIONS, PICTURES, Listing, shown
from .tables import rows

MOST_BYTES = 100_000  # of a caption: fifty times what T5 reads
MOST_TABLE_BYTES = 100 * 10**6
MOST_CAPTIONS = 200_000
UTF_8, MARKED, UTF_16 = "UTF-8", "UTF-8 with a byte order mark", "UTF-16"
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Caption:
    """A caption, without white space around it. `name` is for messages; `picture` is the same for the same picture."""

    name: str
    picture: str
    text: str
    lines: int = 1  # of a file


@dataclass
class Found:
    """All captions of a folder, and what was noticed on the way; each list has names of files or captions."""

    captions: list[Caption] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)  # not in plain UTF-8
    bare: list[str] = field(default_factory=list)  # pictures without a caption
    sources: Counter = field(default_factory=Counter)  # captions by where they are: ".txt", "metadata.jsonl"

    def add(self, caption: Caption, source: str) -> None:
        if not caption.text:
            self.empty.append(caption.name)
        elif "\0" in caption.text:
            self.problems.append(f"{caption.name}: it contains null characters, expected text in UTF-8.")
        elif _HALF.search(caption.text):
            self.problems.append(f"{caption.name}: it contains an incomplete character (a lone surrogate).")
        elif len(caption.text) > MOST_BYTES:
            self.problems.append(f"{caption.name}: it is longer than {MOST_BYTES:,} characters.")
        else:
            self.captions.append(caption)
            self.sources[source] += 1


def gathered(listing: Listing | None, text: str = "") -> Found:
    """The captions of a folder, and those of a text with one a line."""
    found = Found()
    for read in (_of_text(text), _of_files(found, listing), _of_tables(found, listing)):
        for source, caption in read:
            if len(found.captions) == MOST_CAPTIONS:
                found.problems.append(f"More than {MOST_CAPTIONS:,} captions: the rest is not checked.")
                return found
            found.add(caption, source)
    if listing is not None:
        found.problems = listing.problems + found.problems
        known = {caption.picture for caption in found.captions} | {_key(name) for name in listing.captions}
        found.bare = [shown(name) for name in listing.pictures if _key(name) not in known]
    return found


def decoded(data: bytes) -> tuple[str, str]:
    """(text, encoding) of UTF-8, or of UTF-16 with a byte order mark. Raises ValueError, which continues "<name>: "."""
    codec, coding = "utf-8", UTF_8
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec, coding = "utf-16", UTF_16
    elif data.startswith(codecs.BOM_UTF8):
        codec, coding = "utf-8-sig", MARKED
    try:
        return data.decode(codec), coding
    except UnicodeDecodeError as error:
        place = f"byte {error.start:,} is {data[error.start]:#04x}"
        raise ValueError(f"it is not text in {coding} ({place}); save it in UTF-8") from error


def _of_text(text: str) -> Iterator[tuple[str, Caption]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield "the text", Caption(f"line {number}", f"line {number} of the text", line.strip())


def _of_files(found: Found, listing: Listing | None) -> Iterator[tuple[str, Caption]]:
    for name in listing.captions if listing else ():
        text = _text_of(found, listing, name, MOST_BYTES)
        if text is not None:
            text = text.strip()
            yield posixpath.splitext(name)[1].lower(), Caption(shown(name), _key(name), text, _lines(text))


def _of_tables(found: Found, listing: Listing | None) -> Iterator[tuple[str, Caption]]:
    for name in listing.tables if listing else ():
        text = _text_of(found, listing, name, MOST_TABLE_BYTES)
        for row in rows(name, text) if text is not None else ():
            place = f"{shown(name)}, {row.place}"
            if row.fault:
                found.problems.append(f"{place}: {shown(row.fault)}.")
                continue
            picture = _picture(name, row.picture)
            called = f"{shown(row.picture)} ({place})" if row.picture else place
            yield shown(name), Caption(called, picture or place, row.text.strip())


def _text_of(found: Found, listing: Listing, name: str, most: int) -> str | None:
    """A file's text; None with a problem if it cannot be read."""
    try:
        text, coding = decoded(read_given(listing.folder / name, most))
    except ValueError as error:
        found.problems.append(f"{shown(name)}: {error}.")
        return None
    if coding != UTF_8:
        found.marked.append(f"{shown(name)} ({coding})")
    return text


def _lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def _key(name: str) -> str:
    """What a picture and its caption have in common: the relative path without its ending."""
    stem, suffix = posixpath.splitext(posixpath.normpath(name))
    return stem if suffix.lower() in (*PICTURES, *CAPTIONS) else stem + suffix


def _picture(table: str, named: str) -> str:
    """The key of the picture that a table names; an absolute path counts by its last part, in the table's folder."""
    path = named.strip().replace("\\", "/").rstrip("/")
    if path.startswith("/") or path[1:3] == ":/":
        path = posixpath.basename(path)
    return _key(posixpath.join(posixpath.dirname(table), path)) if path else ""
