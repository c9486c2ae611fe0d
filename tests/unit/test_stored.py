"""A stored reading gives the same maps and shares as the reading itself, for any steps and blocks."""

import os
import time
from dataclasses import replace

import pytest
import torch

from flux_duet.nodes.condition.blocks import Blocks
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.choices import MASS, OUTPUT
from flux_duet.nodes.probe.heat.reading import GROUPS, Choice, HeatReading, maps, masses
from flux_duet.nodes.probe.heat.stored import MOST, PART, SUFFIX, NoRoom, look, store

STEPS, BLOCKS, DOUBLE, PICTURES, SIZE = (0, 2, 4), 6, 2, 2, (3, 4)
WORDS = ("a", "ring")


@pytest.fixture
def reading() -> HeatReading:
    generator = torch.Generator().manual_seed(3)
    found = torch.rand(len(STEPS), BLOCKS, PICTURES, len(WORDS), 12, generator=generator)
    groups = torch.rand(len(STEPS), BLOCKS, PICTURES, len(WORDS) + len(GROUPS), generator=generator)
    return HeatReading(MASS, WORDS, found, groups, (1.0, 0.6, 0.2), STEPS, DOUBLE, SIZE)


CHOICES = [Choice(), Choice(1, 3), Choice(0, 2, Blocks.parse("single")), Choice(4, 9, Blocks.parse("0, 3-4"))]


@pytest.mark.parametrize("measure", [MASS, OUTPUT])
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_it_is_the_first_picture_of_the_reading(reading, tmp_path, choice, measure):
    reading = replace(reading, measure=measure)
    alone = replace(reading, maps=reading.maps[:, :, :1], groups=reading.groups[:, :, :1])
    seen = look(tmp_path / f"{store(reading, tmp_path)}{SUFFIX}", choice)
    assert seen.words == WORDS
    torch.testing.assert_close(seen.maps, maps(reading, choice)[0])
    assert seen.shares == pytest.approx(masses(alone, choice))


def test_nothing_chosen_is_an_error(reading, tmp_path):
    path = tmp_path / f"{store(reading, tmp_path)}{SUFFIX}"
    with pytest.raises(ValueError, match="no step is chosen"):
        look(path, Choice(5, 9))
    with pytest.raises(ValueError, match="this model has blocks 0 to 5"):
        look(path, Choice(0, 9, Blocks.parse("57")))
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "other.safetensors", Choice())


DAMAGED = {
    "cut": lambda data: data[:-40],
    "no file of tensors": lambda data: b"as it was",
    "empty": lambda data: b"",
    "another metadata": lambda data: data.replace(b'"double"', b'"triple"'),
    "no JSON": lambda data: data.replace(b'"heads":"1"', b'"heads":"{"'),
    "no heads": lambda data: data.replace(b'"heads":"1"', b'"heads":"0"'),
    "other words": lambda data: data.replace(b"ring", b'r\\"g'),
    "another size": lambda data: data.replace(b"[3, 4]", b"[4, 4]"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_named_so(reading, tmp_path, kind):
    path = tmp_path / f"{store(reading, tmp_path)}{SUFFIX}"
    whole = path.read_bytes()
    path.write_bytes(DAMAGED[kind](whole))
    assert path.read_bytes() != whole
    with pytest.raises(ValueError, match="the file with these maps is damaged"):
        look(path, Choice())


def test_what_is_no_file_is_not_opened(reading, tmp_path):
    path = tmp_path / f"{store(reading, tmp_path)}{SUFFIX}"
    path.unlink()
    path.mkdir()
    with pytest.raises(FileNotFoundError):
        look(path, Choice())


def test_it_is_written_once(reading, tmp_path):
    path = tmp_path / f"{store(reading, tmp_path)}{SUFFIX}"
    path.write_bytes(b"as it was")
    store(reading, tmp_path)
    assert path.read_bytes() == b"as it was"


def test_the_oldest_goes_first(reading, tmp_path):
    names = []
    for number in range(MOST + 2):
        names.append(store(replace(reading, name=f"{number:032x}"), tmp_path))
        os.utime(tmp_path / f"{names[-1]}{SUFFIX}", (1000 + number, 1000 + number))
    assert {path.stem for path in tmp_path.iterdir()} == set(names[-MOST:])


def test_files_take_a_part_of_the_free_disk_alone(reading, tmp_path, monkeypatch):
    """The oldest files are removed for a new one; one that is too large is not written, with an error."""
    free = 10**9
    size = sum(tensor[:, :, :1].numel() * 4 for tensor in (reading.maps, reading.groups))
    monkeypatch.setattr(stored, "free_disk", lambda at: free - sum(each.stat().st_size for each in at.iterdir()))
    for number in range(4):
        name = store(replace(reading, name=f"{number:032x}"), tmp_path)
        os.utime(tmp_path / f"{name}{SUFFIX}", (1000 + number, 1000 + number))
        one = (tmp_path / f"{name}{SUFFIX}").stat().st_size
    assert len(list(tmp_path.iterdir())) == 4 and one >= size
    free = PART * (2 * one + size)  # two remain with the new one
    store(replace(reading, name="f" * 32), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {f"{2:032x}", f"{3:032x}", "f" * 32}
    free = PART * size - PART
    with pytest.raises(NoRoom, match="a quarter of the free disk.*outputs are complete"):
        store(replace(reading, name="e" * 32), tmp_path)
    assert not (tmp_path / f"{'e' * 32}{SUFFIX}").exists()


def test_a_reading_from_the_future_goes_in_time(reading, tmp_path):
    first = store(replace(reading, name="0" * 32), tmp_path)
    future = time.time() + 10**8
    os.utime(tmp_path / f"{first}{SUFFIX}", (future, future))
    for number in range(1, MOST + 1):  # names that sort behind it, as times may be equal
        store(replace(reading, name=f"{number:032x}"), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {f"{number:032x}" for number in range(1, MOST + 1)}


def test_folders_in_a_readings_place_go(reading, tmp_path):
    (tmp_path / f"{reading.name}{SUFFIX}" / "inner").mkdir(parents=True)
    assert look(tmp_path / f"{store(reading, tmp_path)}{SUFFIX}", Choice()).words == WORDS


def test_a_disk_that_takes_nothing_says_so(reading, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NoRoom, match="cannot be written into ComfyUI's temp folder .*outputs are complete"):
        store(reading, tmp_path / "file" / "maps")


def test_the_file_is_written_from_the_maps_own_memory(reading, tmp_path, monkeypatch):
    """With heads kept apart the maps take gigabytes: no copy of them as bytes is made."""

    def copies(*args, **kwargs):
        raise AssertionError("the maps are copied")

    monkeypatch.setattr("safetensors.torch.save", copies)
    monkeypatch.setattr("safetensors.torch._tobytes", copies, raising=False)
    path = tmp_path / f"{store(reading, tmp_path)}{SUFFIX}"
    assert look(path, Choice()).words == WORDS
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert [each.name for each in tmp_path.glob("*.unfinished")] == []
