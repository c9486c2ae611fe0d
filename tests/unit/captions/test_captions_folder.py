"""Which files of a folder are captions, and that no other folder is read."""

import os
import sys

import pytest

from flux_duet.nodes.captions.folder import chosen, listed, state
from flux_duet.nodes.captions.read import MARKED, UTF_8, UTF_16, decoded, gathered

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@pytest.fixture
def root(tmp_path):
    """ComfyUI's input folder, beside a folder with a secret."""
    (tmp_path / "input" / "set").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("the secret")
    return tmp_path / "input"


def put(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(root, name="set"):
    return gathered(listed(chosen(root, name), root))


def texts(root) -> dict[str, str]:
    return {caption.name: caption.text for caption in read(root).captions}


@pytest.mark.parametrize("name", ["..", "../outside", "set/../../outside", "/", "set/../.."])
def test_a_folder_outside_is_refused(root, name):
    with pytest.raises(ValueError, match="is outside ComfyUI's input folder"):
        chosen(root, name)


def test_an_absolute_path_outside_is_refused(root):
    with pytest.raises(ValueError, match="is outside"):
        chosen(root, str(root.parent / "outside"))
    assert chosen(root, str(root / "set")) == root / "set"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "are both empty"),
        ("  ", "are both empty"),
        ("nothing", "is not in ComfyUI's input folder"),
        ("a.txt", "is a file, expected a folder"),
        ("a\0b", "is outside|cannot be opened"),
        ("x" * 5000, "is not in|cannot be opened"),
    ],
)
def test_a_wrong_name_lists_the_folders(root, name, words):
    put(root, a_dot_txt="a")
    with pytest.raises(ValueError, match=words) as error:
        chosen(root, name)
    assert "set" in str(error.value) or "is outside" in str(error.value)
    assert len(str(error.value)) < 400


def test_files_of_all_kinds_are_found_in_subfolders(root):
    put(root / "set", a_dot_txt="one", b_dot_caption="two", sub__c_dot_TXT="three", d_dot_md="no", sub__c_dot_png=b"")
    put(root / "set", _dot_hidden_dot_txt="no", _dot_git__e_dot_txt="no", __MACOSX__f_dot_txt="no")
    assert texts(root) == {"a.txt": "one", "b.caption": "two", "sub/c.TXT": "three"}


@LINKS
def test_links_out_of_the_input_folder_are_reported_and_not_read(root):
    put(root / "set", a_dot_txt="one")
    put(root, other__b_dot_txt="two")
    (root / "set" / "secret.txt").symlink_to(root.parent / "outside" / "secret.txt")
    (root / "set" / "all").symlink_to(root.parent / "outside")
    (root / "set" / "loop.txt").symlink_to(root / "set" / "loop.txt")
    (root / "set" / "self").symlink_to(root / "set")
    (root / "set" / "gone.txt").symlink_to(root / "set" / "nothing")
    (root / "set" / "inside.txt").symlink_to(root / "other" / "b.txt")
    found = read(root)
    assert {caption.text for caption in found.captions} == {"one", "two"}
    problems = "\n".join(found.problems)
    assert "secret.txt is a link out" in problems and "all is a link out" in problems
    assert "self is a link to a folder" in problems
    assert "loop.txt is a link" in problems and "gone.txt is a link" in problems
    assert str(root) not in problems


@LINKS
def test_a_linked_folder_that_leads_out_is_refused(root):
    (root / "away").symlink_to(root.parent / "outside")
    with pytest.raises(ValueError, match="is outside"):
        chosen(root, "away")
    (root / "circle").symlink_to(root / "circle")
    with pytest.raises(ValueError, match="cannot be opened|is not in|is outside"):
        chosen(root, "circle")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_is_no_file_is_reported_and_the_rest_read(root):
    put(root / "set", a_dot_txt="one", x_dot_txt__inner_dot_txt="two")
    os.mkfifo(root / "set" / "pipe.txt")
    found = read(root)
    assert {caption.text for caption in found.captions} == {"one", "two"}
    assert "x.txt is a folder, expected a file." in found.problems
    assert any(problem.startswith("pipe.txt: it is a named pipe") for problem in found.problems)


def test_bad_encodings_and_large_files_are_reported_by_name(root):
    put(root / "set", a_dot_txt="one", latin_dot_txt="caf\xe9".encode("latin-1"), big_dot_txt=b"a " * 600_000)
    put(root / "set", marked_dot_txt="two".encode("utf-8-sig"), wide_dot_txt="three".encode("utf-16"))
    put(root / "set", bare_dot_txt="four".encode("utf-16-le"), empty_dot_txt=" \n", cut_dot_txt=b"\xff\xfea")
    found = read(root)
    assert {caption.text for caption in found.captions} == {"one", "two", "three"}
    problems = "\n".join(found.problems)
    assert "latin.txt: it is not text in UTF-8 (byte 3 is 0xe9)" in problems
    assert "big.txt: it is larger than 100,000 bytes" in problems
    assert "bare.txt: it contains null characters" in problems
    assert "cut.txt: it is not text in UTF-16" in problems
    assert found.empty == ["empty.txt"]
    assert found.marked == [f"marked.txt ({MARKED})", f"wide.txt ({UTF_16})"]
    assert decoded(b"a") == ("a", UTF_8)


def test_pictures_without_a_caption_are_named(root):
    put(root / "set", a_dot_txt="one", a_dot_png=b"", b_dot_jpg=b"", sub__a_dot_webp=b"", sub__c_dot_png=b"")
    put(root / "set", metadata_dot_jsonl='{"file_name": "sub/c.png", "text": "three"}')
    assert read(root).bare == ["b.jpg", "sub/a.webp"]


def test_nothing_is_written_and_a_change_is_noticed(root):
    put(root / "set", a_dot_txt="one", b_dot_txt="two")
    before, names = state(root / "set", root), sorted(os.listdir(root / "set"))
    read(root)
    assert (state(root / "set", root), sorted(os.listdir(root / "set"))) == (before, names)
    put(root / "set", b_dot_txt="longer")
    assert state(root / "set", root) != before


def test_a_text_has_a_caption_in_each_line():
    found = gathered(None, "one\n\n two \r\n")
    assert [(caption.name, caption.text) for caption in found.captions] == [("line 1", "one"), ("line 3", "two")]
