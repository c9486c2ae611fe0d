"""Caption Check's outputs, on a folder of ComfyUI's input folder; and `dev.py captions`."""

import csv
import io
import json
import sys

import folder_paths
import pytest

from flux_duet.devtools import captions as command
from flux_duet.nodes.captions import page, run, summary
from flux_duet.nodes.captions.nodes import CaptionCheck
from flux_duet.nodes.captions.read import gathered

LONG = "a photo of ohwx man, " + "by the sea " * 30
FILES = {
    "a.txt": "a photo of ohwx man", "b.txt": "ohwx man, a photo", "c.txt": LONG, "d.txt": "a photo of a man {x}",
    "e.txt": "=1+1", "f.txt": "caf\xe9".encode("latin-1"), "g.txt": "ohwx man\nsecond (line:1.2)", "h.txt": "",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    made = tmp_path / "lora"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return made


def test_outputs(folder):
    done = CaptionCheck.execute("lora", "ohwx", "77")
    picture, table, rows, data, sentence = done.result
    assert picture.ndim == 4 and picture.shape[3] == 3 and 0 <= picture.min() and picture.max() <= 1
    assert sentence.startswith(
        "CLIP cuts 1 of 6 captions (21 tokens lost), T5 cuts 1 (25 tokens lost). "
        'The trigger "ohwx" is 1 token for CLIP and 5 for T5; 2 captions lack it; "man" (100 %) and "photo" (75 %) '
    )
    first = table.splitlines()[1]
    assert "c.txt" in first and "CLIP: " in first and "T5: " in first
    cells = list(csv.DictReader(io.StringIO(rows)))
    assert [each["caption"] for each in cells] == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "g.txt"]
    assert cells[2]["clip_lost"] == "21" and LONG.strip().endswith(cells[2]["clip_unread"])
    assert cells[4]["text"] == "'=1+1" and cells[3]["t5_unknown"] == "{ }" and cells[3]["without"] == "ohwx"
    known = json.loads(data)
    assert known["captions"]["text"][4] == "=1+1" and known["limits"] == {"clip": 75, "t5": 76}
    assert known["empty"] == ["h.txt"] and known["several_lines"] == known["weighted"] == ["g.txt"]
    assert known["triggers"][0]["t5"] == ["_", "o", "h", "w", "x"] and known["triggers"][0]["missing"] == [
        "d.txt",
        "e.txt",
    ]
    assert "f.txt: it is not text in UTF-8" in known["problems"][0]


def test_the_node_shows_the_sentence_and_the_problems(folder):
    shown = CaptionCheck.execute("lora", "ohwx", "512").ui
    assert shown["images"] and shown["text"][0].startswith("CLIP cuts 1 of 6 captions")
    assert shown["text"][0].endswith("1 problem with files: see the notes.")


def test_nothing_is_written_into_the_folder(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    CaptionCheck.execute("lora", "ohwx", "512")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_text_needs_no_folder(folder):
    _, table, *_, sentence = CaptionCheck.execute("", "", "256", "a cat\na dog").result
    assert sentence == "CLIP and T5 read 2 captions completely." and "line 2" in table
    *_, sentence = CaptionCheck.execute("lora", "", "256", "a cat").result
    assert "of 7 captions" in sentence


@pytest.mark.parametrize(
    ("name", "words"), [("", "are both empty"), ("nothing", "lora"), ("../x", "is outside"), ("bare", "no captions in")]
)
def test_refusals(folder, name, words):
    (folder.parent / "bare").mkdir()
    (folder.parent / "bare" / "x.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=f"Caption Check: .*{words}"):
        CaptionCheck.execute(name, "ohwx", "512")


def test_a_changed_file_runs_the_node_again(folder):
    before = CaptionCheck.fingerprint_inputs(folder="lora", trigger="x")
    assert CaptionCheck.fingerprint_inputs(folder="lora") == before is not None
    (folder / "a.txt").write_text("something else")
    assert CaptionCheck.fingerprint_inputs(folder="lora") != before
    assert CaptionCheck.fingerprint_inputs(folder=None) is CaptionCheck.fingerprint_inputs(folder="..") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", "CLIP and T5 read 1 caption completely."),
        ("a cat\n" + "a " * 77, "CLIP cuts 1 of 2 captions (2 tokens lost), T5 cuts none."),
        (
            "red " * 90 + "\n" + "red " * 77,
            "CLIP cuts 2 of 2 captions (up to 15 tokens lost), T5 cuts 2 (up to 14 tokens lost).",
        ),
    ],
)
def test_sentences(text, expected):
    length = 77 if "14 tokens" in expected else 512
    assert summary.sentence(run.of(gathered(None, text), "here", "", length)) == expected


def test_no_caption_with_the_trigger():
    assert "no caption contains it." in summary.sentence(run.of(gathered(None, "a cat"), "here", "sks", 512))


@pytest.mark.parametrize("text", ["a", "a " * 2000, "\u6771\u4eac " * 200 + "\n" + "\U0001f98a", "a\n" * 3000])
def test_any_captions_are_drawn(text):
    done = run.of(gathered(None, text), "\u6771\u4eac", f"ohwx, {'x' * 200}, \u6771\u4eac, a", 77)
    drawn = page.draw(done)
    assert drawn.width == 860 and drawn.height < 2500
    assert json.loads(summary.as_json(done)) and summary.table(done) and summary.as_csv(done)


def test_the_command_prints_and_writes(folder, tmp_path, monkeypatch, capsys):
    paths = [str(tmp_path / name) for name in ("c.csv", "p.png")]
    arguments = [str(folder), "--trigger", "ohwx", "--t5", "256", "--csv", paths[0], "--picture", paths[1]]
    monkeypatch.setattr(sys, "argv", ["captions", *arguments])
    command.main()
    printed = capsys.readouterr().out
    assert "c.txt" in printed and "of 6 captions" in printed and "f.txt: it is not text" in printed
    assert (tmp_path / "c.csv").read_text("utf-8").startswith("caption,clip_tokens")
    assert (tmp_path / "p.png").stat().st_size > 1000
