"""Fills the tables of the model card, workflows/models/README.md. Pure: the standard library.

A table stands between the lines <!-- NAME --> and <!-- /NAME -->. `bench nano --card` and `bench habits --card` fill
theirs; `python dev.py run nano.card` fills "curve" from training.json.
"""

import json
import re
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent / "workflows" / "models"
CARD = MODELS / "README.md"
POINTS = 10  # columns of the loss table


def filled(card: str, name: str, content: str) -> str:
    """The card with `content` in the place NAME. Raises ValueError if the card has no such place."""
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not place.search(card):
        raise ValueError(f"{CARD.name} has no place {name}: expected the lines <!-- {name} --> and <!-- /{name} -->.")
    return place.sub(lambda found: f"{found[1]}{content}\n{found[2]}", card)


def fill(name: str, content: str, path: Path = CARD) -> None:
    text = filled(path.read_text(encoding="utf-8"), name, content)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def curve(points: list[list[float]], count: int = POINTS) -> str:
    """A table of minutes, steps and losses, at `count` of the points [step, seconds, loss]."""
    chosen = [points[round((number + 1) * len(points) / count) - 1] for number in range(count)]
    rows = {
        "minutes": [f"{seconds / 60:.0f}" for _, seconds, _ in chosen],
        "step": [f"{step:,}" for step, _, _ in chosen],
        "loss": [f"{loss:.2f}" for _, _, loss in chosen],
    }
    lines = [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    return "\n".join([lines[0], "|---" * (count + 1) + "|", *lines[1:]])


if __name__ == "__main__":
    fill("curve", curve(json.loads((MODELS / "training.json").read_text(encoding="utf-8"))["curve"]))
