"""Captions in tables: metadata.jsonl, CSV, and kohya's metadata JSON. Pure.

A line that cannot be used is a problem with its number, and the lines after it are still read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CAPTION_COLUMNS = ("text", "caption", "captions", "prompt", "txt", "description", "tags")
PICTURE_COLUMNS = ("file_name", "filename", "file", "image", "image_path", "path", "img", "name")
DELIMITERS = ",;\t|"
MOST_FAULTS = 100  # of one table; then the rest of it is not read


@dataclass(frozen=True)
class Row:
    """A caption of a table, or what is wrong with a line. `place` is such as "line 3"; `picture` may be unknown."""

    place: str
    picture: str = ""
    text: str = ""
    fault: str = ""


def rows(name: str, text: str) -> Iterator[Row]:
    """The rows of a table, whose kind the file's name tells."""
    faults = 0
    for row in _kind(name.lower())(text):
        yield row
        faults += bool(row.fault)
        if faults == MOST_FAULTS:
            yield Row(row.place, fault=f"it is the {MOST_FAULTS}th line that cannot be used: the rest is not read")
            return


def _kind(name: str):
    if name.endswith(".jsonl"):
        return _of_lines
    return _of_csv if name.endswith(".csv") else _of_json


def _of_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):  # no other sign ends a line: strings have them
        if line.strip():
            try:
                yield _of_object(f"line {number}", json.loads(line))
            except (ValueError, RecursionError):
                yield Row(f"line {number}", fault="it is not JSON")


def _of_object(place: str, value: Any, picture: str = "") -> Row:
    if not isinstance(value, Mapping):
        return Row(place, fault=f"got {_type(value)}, expected an object")
    column, named = _column(list(value), CAPTION_COLUMNS), _column(list(value), PICTURE_COLUMNS)
    if column is None:
        return Row(place, fault=_no_caption(list(value)))
    if named is not None and isinstance(value[named], str):
        picture = value[named]
    if not isinstance(value[column], str):
        return Row(place, picture, fault=f"`{column}` is {_type(value[column])}, expected text")
    return Row(place, picture, value[column])


def _column(given: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of the wanted columns that is there, in whatever case."""
    known = {name.strip().lower(): name for name in reversed(given)}
    return next((known[name] for name in wanted if name in known), None)


def _no_caption(given: Sequence[str]) -> str:
    names = ", ".join(f"{name:.30}" for name in given[:6]) or "none"
    return f"no column holds captions (there are: {names}); expected {', '.join(CAPTION_COLUMNS[:-1])} or tags"


def _type(value: Any) -> str:
    kinds = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


def _of_csv(text: str) -> Iterator[Row]:
    head = text.split("\n", 1)[0].rstrip("\r")
    delimiter = max(DELIMITERS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = next(_cells(lines), (1, None))[1]
    column, named = _column(names or [], CAPTION_COLUMNS), _column(names or [], PICTURE_COLUMNS)
    if column is None:
        yield Row("line 1", fault=_no_caption(names) if names else "it is not CSV")
        return
    at, picture = names.index(column), names.index(named) if named is not None else None
    for number, cells in _cells(lines):
        if cells is None:
            yield Row(f"line {number}", fault="it is not CSV, or its text does not end")
        elif cells and len(cells) <= max(at, picture or 0):
            yield Row(f"line {number}", fault=f"got {len(cells)} columns, expected {len(names)}")
        elif cells:
            yield Row(f"line {number}", cells[picture] if picture is not None else "", cells[at])


def _cells(lines) -> Iterator[tuple[int, list[str] | None]]:
    """The number of the line at which each row begins, and its cells; None if it cannot be read."""
    while True:
        number = lines.line_num + 1
        try:
            yield number, next(lines)
        except StopIteration:
            return
        except csv.Error:
            yield number, None


def _of_json(text: str) -> Iterator[Row]:
    """kohya's {"path": {"caption": ..., "tags": ...}}, {"path": "caption"}, or a list of a metadata.jsonl's objects."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield Row("the file", fault="it is not JSON")
        return
    if isinstance(value, list):
        yield from (_of_object(f"entry {number}", each) for number, each in enumerate(value, 1))
    elif isinstance(value, dict):
        yield from (_of_kohya(f"entry {number}", *each) for number, each in enumerate(value.items(), 1))
    else:
        yield Row("the file", fault=f"got {_type(value)}, expected an object or a list")


def _of_kohya(place: str, picture: str, value: Any) -> Row:
    if isinstance(value, str):
        return Row(place, picture, value)
    if isinstance(value, dict):
        both = [value.get(name) for name in ("caption", "tags")]
        if all(isinstance(each, str) and each for each in both):
            return Row(place, picture, ", ".join(both))  # as sd-scripts puts them together
    return _of_object(place, value, picture)
