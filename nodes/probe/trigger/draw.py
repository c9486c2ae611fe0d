"""Draws Trigger Test: the LoRA's effect by where the word is, main effects, and the pictures. Pure, on PIL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw

from ...quoting import shorten
from ...theme import colours, for_text, tint
from ..percent import percent
from ..plots import charts
from ..plots.charts import Bar, Line
from ..plots.sheets import note, stack_vertically, wrapped
from .effects import BOTH, CLIP, FLOOR, LEVEL, NEITHER, PLACES, T5, WITH, interaction, lora_at, main_lora, main_word
from .reading import ASLEEP, AWAKE, TriggerReading, sentence

WIDTH = 680  # a node shows it smaller
HUES = {NEITHER: "muted", CLIP: "clip", T5: "t5", BOTH: "both"}
TITLES = {NEITHER: "word in neither", CLIP: "word in CLIP", T5: "word in T5", BOTH: "word in both"}


def plot(reading: TriggerReading) -> Image.Image:
    pages = [_by_place(reading)]
    if len(reading.sigmas) > 1:
        pages.append(_over_the_run(reading))
    pages.append(_main_effects(reading))
    seeds = len(reading.seeds)
    lines = f" Thin lines: {LEVEL:.0%} intervals over {seeds} seeds." if reading.size(FLOOR).interval else ""
    return stack_vertically([*pages, note(sentence(reading) + lines, WIDTH)])


def _by_place(reading: TriggerReading) -> Image.Image:
    """The LoRA's effect by the word's place, and the levels below which it sleeps and above which it is awake."""
    sizes = {place: reading.size(lora_at(place)) for place in PLACES}
    bars = [Bar(TITLES[place], size.value, colours().of(HUES[place]), size.interval) for place, size in sizes.items()]
    marks = [(ASLEEP * sizes[BOTH].value, "below: inactive"), (AWAKE * sizes[BOTH].value, "above: active")]
    marks = marks if reading.is_clear(lora_at(BOTH)) else []
    return _bars(f"Effect of {shorten(reading.file, 40)}, relative to the velocity", {"": bars}, marks)


def _main_effects(reading: TriggerReading) -> Image.Image:
    now = colours()
    kinds = {"the LoRA": (main_lora, now.ink), "the word": (main_word, now.muted), "interaction": (interaction, None)}
    groups = {}
    for place in WITH:
        groups[TITLES[place]] = bars = []
        for name, (effect, hue) in kinds.items():
            size = reading.size(effect(place))
            bars.append(Bar(name, size.value, hue or colours().of(HUES[place]), size.interval))
    return _bars("Main effects and interaction of LoRA and word", groups)


TOP, ROW, LEFT, RIGHT = 52, 26, 190, 100


def _bars(title: str, groups: Mapping[str, Sequence[Bar]], marks: Sequence[tuple[float, str]] = ()) -> Image.Image:
    """Rows of bars with intervals, a group's name before its first, on one scale; `marks` are dashed levels."""
    bars = [bar for each in groups.values() for bar in each]
    top = TOP + (18 if marks else 0)
    page = Image.new("RGB", (WIDTH, top + ROW * len(bars) + 12 * len(groups) + 8), colours().paper)
    draw, small = ImageDraw.Draw(page), charts.font(11)
    draw.text((20, 16), title, fill=colours().ink, font=charts.font(17))
    most = max(1e-12, *(max(bar.value, *(bar.spread or (0.0,))) for bar in bars))

    def x(value: float) -> float:
        return LEFT + value / most * (WIDTH - LEFT - RIGHT)

    for value, text in marks:
        for y in range(top - 2, page.height - 14, 7):
            draw.line([(x(value), y), (x(value), y + 3)], fill=colours().muted)
        draw.text((x(value), top - 6), text, fill=colours().muted, font=small, anchor="ms")
    y = top
    for name, several in groups.items():
        draw.text((20, y + ROW / 2), name, fill=for_text(several[-1].colour), font=charts.font(), anchor="lm")
        for bar in several:
            _bar(draw, bar, y, x)
            y += ROW
        y += 12
    return page


def _bar(draw: ImageDraw.ImageDraw, bar: Bar, y: int, x: Callable[[float], float]) -> None:
    middle, end = y + ROW / 2, x(bar.value)
    draw.text((LEFT - 10, middle), bar.name, fill=colours().ink, font=charts.font(), anchor="rm")
    draw.rectangle([LEFT, middle - 8, max(end, LEFT + 1), middle + 8], fill=bar.colour)
    if bar.spread:
        low, high = map(x, bar.spread)
        hue = tint(colours().muted, 0.72) if bar.colour == colours().ink else colours().ink
        draw.line([(low, middle), (high, middle)], fill=hue, width=2)
        for edge in (low, high):
            draw.line([(edge, middle - 4), (edge, middle + 4)], fill=hue, width=2)
        end = max(end, high)
    draw.text((end + 8, middle), percent(bar.value), fill=colours().muted, font=charts.font(), anchor="lm")


def _over_the_run(reading: TriggerReading) -> Image.Image:
    series = [Line(TITLES[place], [reading.size_at(at, lora_at(place)) for at in range(len(reading.sigmas))],
                   colours().of(HUES[place]), () if place == BOTH else (7, 4) if place == NEITHER else (2, 3))
              for place in PLACES]  # fmt: skip
    ticks = [f"{sigma:.2f}" for sigma in reading.sigmas]
    return charts.lines("Effect over the run", series, ticks, "sigma", width=WIDTH, height=320)


# ---- the pictures

MARGIN, GAP, SIDE, HEAD = 20, 12, 110, 66


def sheet(reading: TriggerReading, pictures: Sequence[Image.Image], note_below: str = "") -> Image.Image:
    """Pictures without the LoRA, then with it, by the word's place: two rows of four."""
    width, height = max(each.width for each in pictures), max(each.height for each in pictures)
    columns = len(PLACES)
    page = Image.new(
        "RGB", (MARGIN + SIDE + columns * (width + GAP) + MARGIN, HEAD + 2 * (height + GAP) + 50), colours().paper
    )
    draw = ImageDraw.Draw(page)
    title = f"{shorten(reading.file, 40)} and '{shorten(reading.word, 30)}', seed {reading.seeds[0]}"
    draw.text((MARGIN, 12), title, fill=colours().ink, font=charts.font(17))
    for column, place in enumerate(PLACES):
        x = MARGIN + SIDE + column * (width + GAP) + width / 2
        draw.text(
            (x, HEAD - 10), TITLES[place], fill=for_text(colours().of(HUES[place])), font=charts.font(), anchor="ms"
        )
    for row, name in enumerate(("without LoRA", "with LoRA")):
        y = HEAD + row * (height + GAP)
        draw.text((MARGIN + SIDE - GAP, y + height / 2), name, fill=colours().ink, font=charts.font(), anchor="rm")
        for column in range(columns):
            each = pictures[row * columns + column]
            x = MARGIN + SIDE + column * (width + GAP)
            page.paste(each, (x + (width - each.width) // 2, y + (height - each.height) // 2))
    texts = [f"CLIP: {reading.texts[BOTH][0] or '(empty)'}", f"T5: {reading.texts[BOTH][1] or '(empty)'}"]
    for line, text in enumerate([*texts, *([note_below] if note_below else [])]):
        lines = wrapped(text, page.width - 2 * MARGIN, 1)
        draw.text(
            (MARGIN, HEAD + 2 * (height + GAP) + 2 + 16 * line), lines[0], fill=colours().muted, font=charts.font(12)
        )
    return page


def no_pictures() -> Image.Image:
    """What the sheet's output holds without a VAE."""
    return note("No pictures. Connect a VAE to draw those of the first seed.", 480)
