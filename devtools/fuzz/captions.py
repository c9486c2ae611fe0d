"""Folders of odd captions for Caption Check, in this process. Needs ComfyUI."""

import csv
import io
import json
import random
from pathlib import Path

from ...nodes.captions import page, summary
from ...nodes.captions.checking import check
from ...nodes.captions.folder import listed
from ...nodes.captions.measure import Tokenizers
from ...nodes.captions.read import gathered
from ...nodes.compat.text_encoders import clip_l_tokenizer, t5_tokenizer
from . import inputs

NAMES = ("a.txt", "b.caption", "c.txt", "metadata.jsonl", "table.csv", "meta_cap.json")
KEYS = ("text", "caption", "file_name", "image", "Text", "other")
CODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")


def data(rng: random.Random, name: str, most: int) -> bytes:
    """The content of a file of captions: valid, or with odd values, in some encoding."""

    def value():
        return inputs.text(rng, min(most, 300)) if rng.random() < 0.8 else rng.choice(inputs.ODD)

    rows = [{key: value() for key in rng.sample(KEYS, 3)} for _ in range(rng.randint(0, 5))]
    if name.endswith(".jsonl"):
        text = "\n".join(map(json.dumps, rows))
    elif name.endswith(".json"):
        text = json.dumps(rows if rng.random() < 0.3 else {f"{number}.png": row for number, row in enumerate(rows)})
    elif name.endswith(".csv"):
        lines = io.StringIO()
        csv.writer(lines, delimiter=rng.choice(",;\t")).writerows([KEYS, *(map(str, row.values()) for row in rows)])
        text = lines.getvalue()
    else:
        text = inputs.text(rng, most)
    return text.encode(rng.choice(CODINGS), "replace")


class Captions:
    """Checks folders with the real tokenizers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._tokenizers = Tokenizers(clip_l_tokenizer(), t5_tokenizer(), 77)
        folder.mkdir()

    def check(self, rng: random.Random) -> None:
        found = gathered(listed(self.folder, self.folder), inputs.text(rng, 100) if rng.random() < 0.3 else "")
        done = check(found, "a folder", inputs.text(rng, 30), self._tokenizers)
        page.draw(done)
        if json.loads(summary.as_json(done))["captions"]["caption"] != [each.caption.name for each in done.captions]:
            raise AssertionError("the captions of the JSON are others")
        summary.table(done), summary.as_csv(done).encode("utf-8")
