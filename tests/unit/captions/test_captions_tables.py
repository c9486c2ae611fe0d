"""Captions in JSONL, CSV and JSON: each bad line is named, and those after it are read."""

import json
import time

import pytest

from flux_duet.nodes.captions.folder import Listing
from flux_duet.nodes.captions.read import gathered
from flux_duet.nodes.captions.tables import MOST_FAULTS, rows


def read(name: str, text: str) -> list[tuple[str, str, str]]:
    return [(row.place, row.picture, row.text or f"! {row.fault}") for row in rows(name, text)]


def test_jsonl():
    text = (
        '{"file_name": "a.png", "text": "one"}\n{oops\n\n[1]\n{"image": "b.png", "Caption": "two\\nlines"}\n{"text": 3}'
    )
    assert read("metadata.jsonl", text) == [
        ("line 1", "a.png", "one"),
        ("line 2", "", "! it is not JSON"),
        ("line 4", "", "! got a list, expected an object"),
        ("line 5", "b.png", "two\nlines"),
        ("line 6", "", "! `text` is a number, expected text"),
    ]


def test_jsonl_keeps_line_separators_within_a_string():
    assert read("a.jsonl", '{"text": "one\u2028two"}') == [("line 1", "", "one\u2028two")]


@pytest.mark.parametrize("line", ["[" * 100_000, "9" * 5000, '{"text": ' * 50_000, "nul", '"a"', "{}", '{"a": 1}'])
def test_hostile_lines_are_faults(line):
    (one, two) = read("a.jsonl", line + '\n{"text": "after"}')
    assert one[2].startswith("! ") and two == ("line 2", "", "after")


def test_a_missing_column_is_told_with_those_that_are_there():
    assert "there are: a, b" in read("a.csv", "a,b\n1,2\n")[0][2]
    assert "expected text, caption" in read("a.jsonl", '{"a": 1}')[0][2]


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_csv(sign):
    text = sign.join(["file_name", "text"]) + "\r\n" + sign.join(["a.png", '"one, two; \t"""']) + "\n\nb.png\n"
    text += sign.join(["c.png", '"three\nlines"']) + "\n" + sign.join(["d.png", "four"])
    assert read("x.csv", text) == [
        ("line 2", "a.png", 'one, two; \t"'),
        ("line 4", "", "! got 1 columns, expected 2"),
        ("line 5", "c.png", "three\nlines"),
        ("line 7", "d.png", "four"),
    ]


def test_csv_of_one_column_and_of_none():
    assert read("x.csv", "caption\na cat\n") == [("line 2", "", "a cat")]
    assert read("x.csv", "")[0][2] == "! it is not CSV"


def test_a_field_that_does_not_end_is_told():
    found = read("x.csv", 'text\n"' + "a" * 200_000 + "\nb\n")
    assert any(fault.startswith("! it is not CSV") for _, _, fault in found)


def test_kohya_s_metadata():
    given = {
        "/data/a.png": {"caption": "one", "tags": "x, y"},
        "b": {"tags": "two"},
        "c.png": "three",
        "d": {"size": 1},
    }
    assert read("meta_cap.json", json.dumps(given)) == [
        ("entry 1", "/data/a.png", "one, x, y"),
        ("entry 2", "b", "two"),
        ("entry 3", "c.png", "three"),
        ("entry 4", "", read("x.jsonl", '{"size": 1}')[0][2]),
    ]
    assert read("meta.json", '[{"text": "one"}, 3]')[1][2] == "! got a number, expected an object"
    assert read("meta.json", "3")[0][2] == "! got a number, expected an object or a list"
    assert read("meta.json", "[" * 100_000)[0][2] == "! it is not JSON"


def test_a_table_of_faults_alone_is_given_up():
    started = time.perf_counter()
    found = read("a.jsonl", "x\n" * 10**6)
    assert len(found) == MOST_FAULTS + 1 and "the rest is not read" in found[-1][2]
    assert time.perf_counter() - started < 5


def test_tables_and_files_of_one_picture_are_known_as_such(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "metadata.jsonl").write_text(
        "\n".join(
            json.dumps({"file_name": name, "text": "two"}) for name in ("../a.png", "C:\\x\\b.png", "/y/c.jpg", "")
        )
    )
    found = gathered(Listing(tmp_path, ["a.txt"], ["sub/metadata.jsonl"]))
    assert [each.picture for each in found.captions] == ["a", "a", "sub/b", "sub/c", "sub/metadata.jsonl, line 4"]
    assert found.sources == {".txt": 1, "sub/metadata.jsonl": 4}


def test_half_characters_are_told(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"text": "a\\ud800"}\n{"text": "b"}')
    found = gathered(Listing(tmp_path, [], ["m.jsonl"]))
    assert [each.text for each in found.captions] == ["b"] and "an incomplete character" in found.problems[0]
