"""`dev.py run devtools.panels [NAME ...]`: js/docs/images/NAME.jpg, parts of nodes for help pages and docs/canvas.md.

Each node is taken from the first shipped workflow that has it, as in portraits. Nodes that show results are run first.
"""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image
from playwright.sync_api import Locator

from . import ROOT, SetupError, browser, front_end, say
from .client import as_command
from .front_end import FrontEnd
from .portraits import LEFT, LOOK_AT, TOP, WINDOW, plan
from .screenshot import SETTINGS
from .server import Server

FOLDER, LIMIT, MARGIN = ROOT / "js" / "docs" / "images", 140_000, 4  # bytes, pixels
WIDE = (560, 340)
# Also moves the node away from others, which could cover it.
RESIZE = """([id, size]) => {
    const node = app.graph.getNodeById(id);
    node.pos = [-2000 * id, -3000];
    node.setSize(size);
}"""
CUT = (
    "moody film still, (grainy 35mm:1.3) kodak portra, soft rim light, (hazy:0.6) teal and orange, shallow depth of "
    "field, low key, wet asphalt, neon glow, reflections in puddles, volumetric fog, anamorphic flares, slow shutter, "
    "muted palette, halation, subtle vignette, unbelievably detailed, quiet mood, late autumn evening, film grain, "
    "long shadows"
)
WEIGHTED = "A red fox sits on a mossy stone beside a (frozen:1.4) lake; behind it stand three birch trees."


def largest_share(node: Locator) -> None:
    """Points at the word with the largest share."""
    shares = [float(text.strip(" %") or 0) for text in node.locator(".word small").all_inner_texts()]
    node.locator(".word").nth(shares.index(max(shares))).hover()


def third_of_chart(node: Locator) -> None:
    chart = node.locator(".chart")
    box = chart.bounding_box()
    chart.hover(position={"x": box["width"] * 0.38, "y": box["height"] * 0.6})


def fourth_frame(node: Locator) -> None:
    node.locator(".shot").nth(3).hover()


def last_tokens(node: Locator) -> None:
    """Scrolls to the tokens that are cut."""
    node.locator(".panel").first.evaluate(
        "panel => { for (const part of panel.querySelectorAll('*')) part.scrollTop = part.scrollHeight; }"
    )


def linked(node: Locator) -> None:
    node.locator("button.link").click()
    node.page.mouse.move(WINDOW[0] - 40, WINDOW[1] // 2)  # so that no tooltip covers the tokens


@dataclass(frozen=True)
class Shot:
    """A picture: of which node, of its panel alone or of all from its first text box on, and what is done before."""

    kind: str
    run: bool = False
    texts: tuple[str, ...] = ()  # of its text boxes, from the top
    whole: bool = False
    size: tuple[int, int] | None = None  # the node's, where it is not as the workflow has it
    prepare: Callable[[Locator], None] = lambda node: None


SHOTS = {
    "heatmap_panel": Shot("FluxDuetHeatmapShow", run=True, prepare=largest_share),
    "influence_panel": Shot("FluxDuetInfluenceShow", run=True, prepare=third_of_chart),
    "sweep_panel": Shot("FluxDuetSweep", run=True, prepare=fourth_frame),
    "grid_panel": Shot("FluxDuetGrid", run=True),
    "tokens_clip": Shot("FluxDuetClipEncode", texts=(CUT,), whole=True, size=WIDE, prepare=last_tokens),
    "tokens_t5": Shot("FluxDuetT5Encode", texts=(WEIGHTED,), whole=True, size=WIDE, prepare=linked),
    "timeline": Shot("FluxDuetSchedule", whole=True),
    "timeline_text": Shot("FluxDuetScheduleText", whole=True),
    "blocks": Shot("FluxDuetRoute", whole=True),
}


def frame_of(node: Locator, whole: bool) -> dict[str, float]:
    """What is photographed: the node from its first text box to its panel's end, or the panel alone."""
    box, panel = node.bounding_box(), node.locator(".panel").last.bounding_box()
    if not whole:
        return {
            "x": panel["x"] - MARGIN,
            "y": panel["y"] - MARGIN,
            "width": panel["width"] + 2 * MARGIN,
            "height": panel["height"] + 2 * MARGIN,
        }
    bottom = panel["y"] + panel["height"] + 2 * MARGIN
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": bottom - box["y"]}


def taken(front: FrontEnd, number: int, shot: Shot) -> Image.Image:
    page = front.page
    if shot.size:
        page.evaluate(RESIZE, [number, shot.size])
    page.evaluate(LOOK_AT, [number, LEFT, TOP])
    page.wait_for_timeout(1500)
    node = page.locator(f"[data-node-id='{number}']")
    for place, text in enumerate(shot.texts):
        node.locator("textarea").nth(place).fill(text)
    page.wait_for_timeout(1500)  # until the tokens are those of the texts
    shot.prepare(node)
    page.wait_for_timeout(1500)
    return Image.open(io.BytesIO(page.screenshot(clip=frame_of(node, shot.whole)))).convert("RGB")


def save(picture: Image.Image, name: str) -> None:
    path = FOLDER / f"{name}.jpg"
    for quality in range(90, 50, -5):
        picture.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= LIMIT:
            break
    say(f"{name}: {picture.width} x {picture.height}, {path.stat().st_size / 1000:.0f} kB")


def photograph(front: FrontEnd, shots: dict[str, Shot]) -> None:
    for path, nodes in plan([shot.kind for shot in shots.values()]):
        if path is None:
            continue
        here = {name: shot for name, shot in shots.items() if shot.kind in nodes}
        front.load(path)
        if any(shot.run for shot in here.values()):
            kind, detail = front.queue()
            if kind != "execution_success":
                raise SetupError(f"{path.name} did not run: {kind} {json.dumps(detail)[:500]}")
            front.page.wait_for_timeout(6000)  # until pictures are loaded and notifications have disappeared
        for name, shot in here.items():
            save(taken(front, nodes[shot.kind], shot), name)


def main() -> None:
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    wanted = sys.argv[1:] or list(SHOTS)
    if unknown := set(wanted) - set(SHOTS):
        raise SetupError(f"no picture is called {', '.join(sorted(unknown))}; there are {', '.join(SHOTS)}")
    with Server() as server, front_end.browser(path) as started:
        front = FrontEnd(started, server, vue=True, width=WINDOW[0], height=WINDOW[1])
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        photograph(front, {name: SHOTS[name] for name in wanted})


if __name__ == "__main__":
    as_command(main)
