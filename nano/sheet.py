"""`dev.py run nano.sheet`: README's contact sheet, rows of CLIP prompts, columns of T5 prompts, one seed.

Needs ComfyUI.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .pipeline import MODELS, Pipeline, Prompt

SHEET = Path(__file__).resolve().parent.parent / "images" / "nano.jpg"
SEED = 1

CLIP_PROMPTS = ("at night", "on pink paper", "under water", "in the snow", "on a checkered floor", "")
T5_PROMPTS = (
    "a big yellow star in the middle",
    "a small red heart in the top left",
    "a blue circle left of an orange square",
    "a white triangle inside a purple circle",
    "a green ring with stripes at the bottom",
    "",
)

HEAD, SIDE, GAP, FONT = 64, 150, 6, 13
INK, PAPER, MUTED = (28, 30, 36), (255, 255, 255), (120, 124, 134)


def wrapped(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _label(draw: ImageDraw.ImageDraw, at: tuple[float, float], anchor: str, text: str, width: int) -> None:
    font = ImageFont.load_default(FONT)
    draw.multiline_text(
        at,
        wrapped(text or "(empty)", width, font),
        fill=INK if text else MUTED,
        font=font,
        anchor=anchor,
        align="center" if anchor[0] == "m" else "right",
        spacing=3,
    )


def sheet(
    pictures: np.ndarray,
    clip: tuple[str, ...] = CLIP_PROMPTS,
    t5: tuple[str, ...] = T5_PROMPTS,
    corner_text: str = "CLIP below, T5 above",
) -> Image.Image:
    """Pictures [rows, columns, H, W, 3] with T5 prompts as column titles and CLIP prompts as row titles."""
    rows, columns, height, width, _ = pictures.shape
    page = Image.new("RGB", (SIDE + columns * (width + GAP), HEAD + rows * (height + GAP)), PAPER)
    draw = ImageDraw.Draw(page)
    corner = (SIDE - 2 * GAP, HEAD - GAP)
    draw.text(corner, corner_text, fill=MUTED, font=ImageFont.load_default(FONT), anchor="rd")
    for column, text in enumerate(t5):
        _label(draw, (SIDE + column * (width + GAP) + width / 2, HEAD - GAP), "md", text, width)
    for row, text in enumerate(clip):
        y = HEAD + row * (height + GAP)
        _label(draw, (SIDE - 2 * GAP, y + height / 2), "rm", text, SIDE - 4 * GAP)
        for column in range(columns):
            page.paste(Image.fromarray(pictures[row, column]), (SIDE + column * (width + GAP), y))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--out", type=Path, default=SHEET)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    pipeline = Pipeline(options.models)
    prompts = [Prompt(clip, t5) for clip in CLIP_PROMPTS for t5 in T5_PROMPTS]
    pictures = np.concatenate([pipeline.draw([prompt], options.seed, steps=20) for prompt in prompts])
    options.out.parent.mkdir(exist_ok=True)
    page = sheet(pictures.reshape(len(CLIP_PROMPTS), len(T5_PROMPTS), *pictures.shape[1:]))
    page.save(options.out, quality=90, optimize=True)


if __name__ == "__main__":
    main()
