"""The choices of a file input: which files they are, and that an unchanged folder is walked only once."""

import os
import time

import pytest

from flux_duet.nodes.disk import listing

LONG_AGO = time.time() - 3600


@pytest.fixture
def walks(monkeypatch):
    """The folders walked so far, with nothing known at first."""
    seen, walk = [], os.walk
    monkeypatch.setattr(listing, "_known", {})
    monkeypatch.setattr(listing.os, "walk", lambda folder: seen.append(folder) or walk(folder))
    return seen


@pytest.fixture
def folder(tmp_path):
    """Two files and a folder, all an hour old."""
    (tmp_path / "inner").mkdir()
    for name in ("b.txt", "inner/a.txt", "c.png"):
        (tmp_path / name).write_text("")
    settle(tmp_path)
    return tmp_path


def settle(folder):
    for path in (folder, folder / "inner"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def test_names_are_sorted_and_relative_to_the_folder(folder, walks):
    assert listing.files_in(str(folder), ".txt") == ["b.txt", "inner/a.txt"]
    assert listing.files_in(str(folder), ".png") == ["c.png"]


def test_a_folder_without_changes_is_walked_once(folder, walks):
    for _ in range(5):
        listing.files_in(str(folder), ".txt").append("not kept")
    assert listing.files_in(str(folder), ".txt") == ["b.txt", "inner/a.txt"]
    assert walks == [str(folder)]


@pytest.mark.parametrize("name", ["new.txt", "inner/new.txt"])
def test_a_new_and_a_removed_file_are_noticed(folder, walks, name):
    before = listing.files_in(str(folder), ".txt")
    (folder / name).write_text("")
    assert listing.files_in(str(folder), ".txt") == sorted([*before, name])
    settle(folder)
    listing.files_in(str(folder), ".txt")
    (folder / name).unlink()
    assert listing.files_in(str(folder), ".txt") == before


def test_a_folder_that_has_just_changed_is_not_trusted(folder, walks):
    # Its next change may get the same time.
    (folder / "new.txt").write_text("")
    for _ in range(3):
        listing.files_in(str(folder), ".txt")
    assert len(walks) == 3


def test_a_folder_that_is_not_there_has_no_files(tmp_path, walks):
    place = tmp_path / "later"
    assert listing.files_in(str(place), ".txt") == []
    place.mkdir()
    (place / "a.txt").write_text("")
    assert listing.files_in(str(place), ".txt") == ["a.txt"]
