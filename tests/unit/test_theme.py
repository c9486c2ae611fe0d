"""Plots and sheets have the ground of the theme of who asked for the run; on both grounds they can be read."""

from dataclasses import asdict

import pytest
from PIL import Image

from flux_duet.nodes import theme
from flux_duet.nodes.encode.tokens import chips
from flux_duet.nodes.palette import DARK, LIGHT
from flux_duet.nodes.probe.heat import overlay
from flux_duet.nodes.probe.plots import charts, sections, sheets

SMALL = Image.new("RGB", (20, 20), (90, 20, 20))
DRAWN = {
    "lines": lambda: charts.lines("title", [charts.Line("one", [0.1, 0.2])], ["0", "1"]),
    "bars": lambda: charts.bars("title", [charts.Bar("one", 0.5, spread=(0.4, 0.6), mark=0.1)]),
    "a film strip": lambda: sheets.film_strip("title", "note", [sheets.Frame(SMALL, "head", ["below"], 0.5)], None),
    "a contact sheet": lambda: sheets.contact_sheet("title", [[SMALL]], ["a"], [""]),
    "contact sheets": lambda: sections.contact_sheets("title", [[[SMALL]]] * 2, ["a", "b"], ["c"], ["d"]),
    "maps": lambda: sheets.panels("title", "note", [sheets.Panel("one", overlay.np.eye(4))]),
    "heatmaps": lambda: overlay.sheet("title", "", None, [overlay.HeatPanel("a", overlay.np.eye(4), 1)], "picture"),
    "a note": lambda: sheets.note("note", 200),
    "chips": lambda: chips.draw([]),
}


@pytest.fixture
def told(monkeypatch):
    """A server that nobody has told a theme, with a run of the client "me"."""
    monkeypatch.setattr(theme, "_dark", type(theme._dark)())
    monkeypatch.setattr(theme, "_running", theme._nobody)
    theme.follow(lambda: "me")
    return theme.tell


def corners(page: Image.Image) -> set:
    return {page.getpixel((x, y)) for x in (0, page.width - 1) for y in (0, page.height - 1)}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_page_has_the_ground_of_the_theme(told, kind):
    assert corners(DRAWN[kind]()) == {LIGHT.paper}
    told("me", True)
    page = DRAWN[kind]()
    assert corners(page) == {DARK.paper}
    shades = {colour for _, colour in page.getcolors(2**20)}
    assert LIGHT.paper not in shades and LIGHT.ink not in shades
    told("me", False)
    assert corners(DRAWN[kind]()) == {LIGHT.paper}


def test_other_clients_and_scripts_are_drawn_on_white(told):
    told("another", True)
    assert theme.colours() == LIGHT
    theme.follow(lambda: None)
    assert theme.colours() == LIGHT
    theme.follow(lambda: "another")
    assert theme.colours() == DARK


def test_a_server_that_runs_for_years_keeps_the_last_clients(told):
    for number in range(theme.MOST_CLIENTS + 5):
        told(str(number), True)
    assert len(theme._dark) == theme.MOST_CLIENTS
    theme.follow(lambda: "4")
    assert theme.colours() == LIGHT
    theme.follow(lambda: "5")
    assert theme.colours() == DARK


PALE = ("t5_pale",)  # on white, of bars that have their numbers beside them
NO_LINE = ("paper", "rule", "zero", "far")


@pytest.mark.parametrize("is_dark", [False, True])
def test_lines_and_text_stand_out_from_the_ground(told, is_dark):
    told("me", is_dark)
    now = theme.colours()
    for name, colour in asdict(now).items():
        if name not in NO_LINE and (is_dark or name not in PALE):
            assert theme.contrast(colour, now.paper) >= 3, name
        if name not in NO_LINE:
            assert theme.contrast(theme.for_text(colour), now.paper) >= 4.5, name
    for name in ("ink", "muted", "clip", "t5"):
        assert theme.contrast(theme.text_on(now.of(name)), now.of(name)) >= 4.5, name
        assert theme.for_text(now.of(name)) == now.of(name), "it is text as it is"


def test_contrast_is_that_of_the_standard():
    assert theme.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert theme.contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.478, abs=1e-3)


@pytest.mark.parametrize(
    ("most", "end", "step"), [(0.37, 0.4, 0.1), (1, 1, 0.2), (50, 50, 10), (501, 600, 200), (2e6, 2e6, 1e6)]
)
def test_an_axis_holds_values_of_any_size(most, end, step):
    assert charts.scale(most) == pytest.approx((end, step))
