"""Caption Check on a real server: a folder in its input folder, checked again when a file has changed."""

import pytest

from flux_duet.devtools.client import RunFailed

PROMPT = {
    "1": {
        "class_type": "FluxDuetCaptions",
        "inputs": {"folder": "captions/lora", "trigger": "ohwx", "t5_length": "256"},
    }
}


@pytest.fixture
def folder(nano_server):
    made = nano_server.base / "input" / "captions" / "lora"
    made.mkdir(parents=True, exist_ok=True)
    (made / "a.txt").write_text("a photo of ohwx man")
    (made / "b.txt").write_text("a photo of a man")
    return made


def test_a_folder_is_checked_and_again_after_a_change(nano_server, folder):
    first = nano_server.run(PROMPT)
    (text,) = first.outputs["1"]["text"]
    assert text.startswith("CLIP and T5 read 2 captions completely.") and "1 caption lacks it" in text
    assert first.images("1")[0].width == 860
    assert nano_server.run(PROMPT).was_cached("1")
    (folder / "b.txt").write_text("a photo of ohwx woman")
    again = nano_server.run(PROMPT)
    assert again.did_run("1") and "every caption contains it" in again.outputs["1"]["text"][0]
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("name", "words"), [("..", "is outside"), ("no", "is not in .* captions"), ("", "are both empty")]
)
def test_a_wrong_folder_is_told(nano_server, folder, name, words):
    prompt = {"1": {**PROMPT["1"], "inputs": {**PROMPT["1"]["inputs"], "folder": name}}}
    with pytest.raises(RunFailed, match=words):
        nano_server.run(prompt)
