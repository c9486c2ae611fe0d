"""`dev.py run devtools.gallery`: README's sheet of all templates, images/templates.jpg.

Each workflows/NAME.jpg that belongs to a workflows/NAME.json, under its name. No browser and no ComfyUI are needed.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from . import ROOT, SetupError, say

WORKFLOWS, OUT, LIMIT = ROOT / "workflows", ROOT / "images" / "templates.jpg", 400_000  # bytes
COLUMNS, SIDE, GAP, MARGIN = 5, 220, 18, 20  # a picture's side, the gap between two, and the sheet's margin, in pixels
FONT, LINE = 19, 24  # a name's letters, and its lines, in pixels
# A dark card, which is seen as a card on white pages and on dark ones.
INK, MUTED, PAPER = (235, 236, 240), (165, 170, 182), (32, 34, 40)


def names(path: Path) -> tuple[str, str]:
    """A file's title and subtitle, which a comma separates, without its number and with spaces."""
    title, _, subtitle = path.stem.replace("_", " ").lstrip("0123456789 ").partition(", ")
    return title, subtitle


def lines(path: Path, font: ImageFont.FreeTypeFont) -> list[tuple[str, tuple[int, int, int]]]:
    """The lines under a picture, each with its colour."""
    return [
        (line, colour)
        for text, colour in zip(names(path), (INK, MUTED), strict=True)
        for line in wrapped(text, font)
        if line
    ]


def wrapped(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if font.getlength(longer) <= SIDE:
            found[-1] = longer
        else:
            found.append(word)
    return found


def row_of(pictures: list[Path], width: int) -> Image.Image:
    font = ImageFont.load_default(FONT)
    texts = [lines(path, font) for path in pictures]
    row = Image.new("RGB", (width, SIDE + 6 + LINE * max(map(len, texts)) + GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for number, (path, text) in enumerate(zip(pictures, texts, strict=True)):
        x = MARGIN + number * (SIDE + GAP)
        with Image.open(path) as picture:
            row.paste(ImageOps.fit(picture.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS), (x, 0))
        for place, (line, colour) in enumerate(text):
            draw.text((x, SIDE + 6 + LINE * place), line, fill=colour, font=font)
    return row


def sheet(pictures: list[Path]) -> Image.Image:
    width = 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
    rows = [row_of(pictures[at : at + COLUMNS], width) for at in range(0, len(pictures), COLUMNS)]
    page = Image.new("RGB", (width, 2 * MARGIN - GAP + sum(row.height for row in rows)), PAPER)
    y = MARGIN
    for row in rows:
        page.paste(row, (0, y))
        y += row.height
    return page


def main() -> None:
    pictures = [path.with_suffix(".jpg") for path in sorted(WORKFLOWS.glob("*.json"))]
    if absent := [path.name for path in pictures if not path.is_file()]:
        raise SetupError(f"no picture {', '.join(absent)}: make the templates' pictures first")
    page = sheet(pictures)
    OUT.parent.mkdir(exist_ok=True)
    for quality in range(88, 50, -6):
        page.save(OUT, quality=quality, optimize=True)
        if OUT.stat().st_size <= LIMIT:
            break
    say(f"{OUT}: {len(pictures)} templates, {OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
