"""The files of a folder of captions, by what they are. Reads no file and writes none. Pure."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..disk.given_file import is_inside, kind_of
from ..quoting import quoted, shorten
from .choices import NAME

CAPTIONS = (".txt", ".caption")  # a file for each picture
TABLES = (".jsonl", ".csv")  # a line for each picture
METADATA = ("meta", "caption")  # a .json whose name begins so is a table too
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl", ".tif", ".tiff")
MOST_FILES = 200_000
SKIPPED = ("__macosx",)  # and all names that begin with a point: other programs' files


@dataclass
class Listing:
    """Paths relative to the folder, in order, and what could not be listed, in words."""

    folder: Path
    captions: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def shown(name: str) -> str:
    """A file's name for messages: on one line, and without bytes that are no text."""
    return shorten(name.encode("utf-8", "replace").decode("utf-8"), 120)


def chosen(root: Path, name: str) -> Path:
    """The folder `name` in `root`. Raises ValueError if there is none, or if it leads out of `root`, by a link too."""
    given = shorten(repr(name), 100)
    if not name.strip():
        raise ValueError(f"{NAME}: `folder` and `captions` are both empty. {_choices(root)}")
    path = root / name.strip()
    try:
        inside = is_inside(root, path)
        is_folder = inside and path.is_dir()
        is_there = inside and path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, links in a circle
        raise ValueError(f"{NAME}: {given} cannot be opened. {_choices(root)}") from error
    if not inside:
        raise ValueError(f"{NAME}: {given} is outside ComfyUI's input folder. Captions are read only inside it.")
    if not is_folder:
        fault = "is a file, expected a folder" if is_there else "is not in ComfyUI's input folder"
        raise ValueError(f"{NAME}: {given} {fault}. {_choices(root)}")
    return path


def _choices(root: Path) -> str:
    """The folders that can be named, for an error's text."""
    try:
        with os.scandir(root) as entries:
            names = sorted(shown(entry.name) for entry in entries if entry.is_dir() and not _skipped(entry.name))
    except OSError:
        names = []
    if not names:
        return "ComfyUI's input folder has no folders yet: copy the captions into one."
    return f"Folders in ComfyUI's input folder: {quoted(names, 60, 12)}."


def _skipped(name: str) -> bool:
    return name.startswith(".") or name.lower() in SKIPPED


def listed(folder: Path, within: Path | None = None) -> Listing:
    """All files of a folder and of those in it. Linked folders are not followed; linked files that lead out of `within`
    are not read."""
    found, waiting, count = Listing(folder), [""], 0
    while waiting:
        for entry in _entries(found, waiting.pop()):
            if count == MOST_FILES:
                found.problems.append(f"More than {MOST_FILES:,} files: the rest is not checked.")
                return _sorted(found)
            count += 1
            if inner := _placed(found, entry, within):
                waiting.append(inner)
    return _sorted(found)


def _entries(found: Listing, under: str) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(found.folder / under) as entries:
            yield from (entry for entry in entries if not _skipped(entry.name))
    except OSError as error:
        where = shown(under) or "The folder"
        found.problems.append(f"{where} cannot be listed ({error.strerror or type(error).__name__}).")


def _placed(found: Listing, entry: os.DirEntry, within: Path | None) -> str | None:
    """Puts an entry into its list; returns its relative path if it is a folder to look into."""
    name = os.path.relpath(entry.path, found.folder).replace(os.sep, "/")
    stem, suffix = os.path.splitext(entry.name.lower())
    kinds = {CAPTIONS: found.captions, TABLES: found.tables, PICTURES: found.pictures}
    among = next((names for suffixes, names in kinds.items() if suffix in suffixes), None)
    if suffix == ".json" and stem.startswith(METADATA):
        among = found.tables
    linked = entry.is_symlink() or _is_junction(entry)
    if not linked and entry.is_dir(follow_symlinks=False):
        if among is not None:
            found.problems.append(f"{shown(name)} is a folder, expected a file.")
        return name
    if linked and (fault := _fault(Path(entry.path), within)):
        found.problems += [f"{shown(name)} {fault}"] * (among is not None or os.path.isdir(entry.path))
        return None
    if among is not None:
        among.append(name)
    return None


def _is_junction(entry: os.DirEntry) -> bool:
    """Whether it is Windows' other kind of link to a folder, which Python takes for a folder."""
    try:
        tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) if os.name == "nt" else 0
    except OSError:  # removed since it was listed
        return False
    return tag != 0 and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0)


def _fault(link: Path, within: Path | None) -> str | None:
    """Why a link is not read; None if it is."""
    try:
        if within is not None and not is_inside(within, link):
            return "is a link out of ComfyUI's input folder; it is not read."
        if link.is_dir():
            return "is a link to a folder; it is not followed."
        return None if link.exists() else "is a link to a file that is not there."
    except (OSError, RuntimeError):
        return "is a link to itself."


def _sorted(found: Listing) -> Listing:
    for names in (found.captions, found.tables, found.pictures):
        names.sort()
    return found


def state(folder: Path, within: Path) -> str:
    """A digest that changes when a file of captions is added, removed or written."""
    found, digest = listed(folder, within), hashlib.sha256()
    for name in [*found.captions, *found.tables, *found.pictures]:
        digest.update(os.fsencode(name))
        try:
            now = os.stat(folder / name)
            digest.update(f"\0{kind_of(now.st_mode)}\0{now.st_size}\0{now.st_mtime_ns}\0".encode())
        except OSError:
            digest.update(b"\0gone\0")
    return digest.hexdigest()
