"""Film strips and contact sheets: every picture and label fits, whatever its size."""

import numpy
import pytest
import torch
from PIL import Image

from flux_duet.nodes import palette
from flux_duet.nodes.pictures import as_image
from flux_duet.nodes.probe.plots import charts, sheets

RED, BLUE = (200, 10, 10), (10, 10, 200)


def has(page: Image.Image, colour: tuple[int, int, int]) -> int:
    """The number of pixels with exactly this colour."""
    return int((numpy.asarray(page) == colour).all(-1).sum())


def frames(count: int, size: tuple[int, int] = (40, 30), share: float = 0.5) -> list[sheets.Frame]:
    return [sheets.Frame(Image.new("RGB", size, RED), f"step {n}", ["sigma 0.50"], share) for n in range(count)]


def test_tensors_and_pictures():
    pixels = torch.rand(20, 30, 3)
    page = sheets.picture(pixels)
    assert page.size == (30, 20)
    assert torch.allclose(as_image(page)[0], pixels, atol=1 / 255)
    assert sheets.picture(torch.rand(600, 1200, 3)).size == (256, 128)
    assert sheets.picture(torch.rand(1200, 3, 3)).size == (1, 256)
    assert sheets.enlarged(Image.new("RGB", (16, 8))).size == (128, 64)


@pytest.mark.parametrize("count", [2, 7, 8, 21, 51])
@pytest.mark.parametrize("size", [(40, 30), (256, 128), (10, 256)])
def test_a_film_strip_holds_every_frame(count, size):
    page = sheets.film_strip("title", "note", frames(count, size), None)
    assert has(page, RED) == count * size[0] * size[1]
    assert page.width <= 7 * (max(96, size[0]) + sheets.GAP) + 2 * sheets.MARGIN + 620


def test_bars_and_the_mark():
    bare = sheets.film_strip("title", "note", frames(9, share=0.0), None, BLUE)
    assert has(bare, BLUE) == 0
    half, full = (has(sheets.film_strip("", "", frames(9, share=share), None, BLUE), BLUE) for share in (0.5, 1.0))
    assert full == 2 * half > 0
    longest = sheets.film_strip("", "", frames(9, share=7.0), None, BLUE)
    assert has(longest, BLUE) == full, "no bar is longer than its place"
    for mark in (0.0, 3.99, 7.5):
        assert has(sheets.film_strip("", "", frames(9, share=0.0), mark, BLUE), BLUE) > 50


@pytest.mark.parametrize("text", ["a word", "word " * 60, "x" * 300, "", "\u4f60\u597d " * 40])
@pytest.mark.parametrize("width", [60, 128])
def test_wrapped_text_fits(text, width):
    lines = sheets.wrapped(text, width, 4)
    assert 1 <= len(lines) <= 4 and all(charts.font().getlength(line) <= width for line in lines)
    if charts.font().getlength(text) > 5 * width:
        assert lines[-1].endswith("...")
    if text == "a word":
        assert lines == ["a word"]


def test_a_contact_sheet_holds_every_picture_and_label():
    pictures = [[Image.new("RGB", (50, 70), RED) for _ in range(3)] for _ in range(2)]
    clip, t5 = ["at night", ""], ["a star", "a very long prompt " * 20, ""]
    page = sheets.contact_sheet("Seed 1", pictures, clip, t5)
    assert has(page, RED) == 6 * 50 * 70
    assert has(page, palette.LIGHT.clip) > 20 and has(page, palette.LIGHT.t5) > 20
    assert sheets.contact_sheet("t" * 300, [[pictures[0][0]]], [""], [""]).width < 500


def test_maps_are_paper_where_nothing_is():
    nothing, all_of_it = numpy.zeros((4, 8)), numpy.ones((4, 8))
    page = sheets.panels("title", "note", [sheets.Panel("a\n10 %", nothing), sheets.Panel("b", all_of_it, BLUE)])
    assert has(page, BLUE) >= 200 * 100
    broken = sheets.panels("title", "note", [sheets.Panel("a", numpy.full((4, 8), numpy.nan))])
    assert has(broken, palette.LIGHT.ink) < 2000


def test_a_marked_chart_and_pages_one_under_another():
    chart = charts.lines("title", [charts.Line("a", [0.0, 1.0])], ["0", "1"])
    before = has(chart, BLUE)
    assert has(sheets.marked(chart.copy(), 0.3, "here", BLUE), BLUE) > before == 0
    assert sheets.stack_vertically([chart, Image.new("RGB", (900, 10))]).size == (900, chart.height + 10)
