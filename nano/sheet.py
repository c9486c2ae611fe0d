"""`dev.py run nano.sheet`: README's sheet, rows of CLIP prompts, columns of T5 prompts, one seed.

Needs ComfyUI.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .pipeline import MODELS, Pipeline, Prompt

SHEET = Path(__file__).resolve().parent.parent / "images" / "nano.jpg"
SEED = 1

CLIP_PROMPTS = ("at night", "at the beach", "under water", "in the snow", "on a checkered floor", "")
T5_PROMPTS = (
    "a big yellow moon in the middle",
    "a small red house in the top left",
    "a white boat left of an orange fish",
    "a black cat above a blue cup",
    "a green ring with stripes at the bottom",
    "a tree",
    "",
)

SIDE, GAP, FONT, MARGIN = 150, 6, 15, 16
# A dark card, which is seen as a card on white pages and on dark ones.
INK, PAPER, MUTED = (235, 236, 240), (32, 34, 40), (165, 170, 182)


def framed(page: Image.Image) -> Image.Image:
    """The page with a margin, so that no letter stands at its edge."""
    return ImageOps.expand(page, MARGIN, PAPER)


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
    corner_text: str = "T5 above,\nCLIP left",
) -> Image.Image:
    """Pictures [rows, columns, H, W, 3] with T5 prompts as column titles and CLIP prompts as row titles."""
    rows, columns, height, width, _ = pictures.shape
    font = ImageFont.load_default(FONT)
    head = max(wrapped(text, width, font).count("\n") + 1 for text in t5) * (FONT + 4) + GAP
    page = Image.new("RGB", (SIDE + columns * (width + GAP), head + rows * (height + GAP)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.multiline_text((SIDE - 2 * GAP, head - GAP), corner_text, fill=MUTED, font=font, anchor="rd", align="right")
    for column, text in enumerate(t5):
        _label(draw, (SIDE + column * (width + GAP) + width / 2, head - GAP), "md", text, width)
    for row, text in enumerate(clip):
        y = head + row * (height + GAP)
        _label(draw, (SIDE - 2 * GAP, y + height / 2), "rm", text, SIDE - 4 * GAP)
        for column in range(columns):
            page.paste(Image.fromarray(pictures[row, column]), (SIDE + column * (width + GAP), y))
    return framed(page)


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
