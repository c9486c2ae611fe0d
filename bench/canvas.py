"""Does a canvas with many of our nodes stay usable? Frame times with the pack's scripts and without.

    python dev.py bench canvas [--nodes 100] [--frames 60] [--rounds 5]

The real front end in Chromium, without a GPU: two pages on one server, one of which ("native") does not load the pack's
scripts, so that the same nodes have plain widgets. Each pans over the same graph, in both renderers, zoomed out until
all of it is visible and zoomed in until one node is readable. A frame is the time from one animation frame to the next,
with the canvas redrawn in each.
"""

import argparse

from playwright.sync_api import Browser

from ..devtools import SetupError, browser, front_end, say
from ..devtools.front_end import FrontEnd
from ..devtools.server import Server
from .measure import SIDES, Comparison, compared, machine, rounds, seconds, warn_if_busy

KINDS = ("FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetSchedule", "FluxDuetRoute", "FluxDuetHeatmapShow")
TEXT = "a large red circle in the top left, and a small blue star beside it, (at night:1.2), in the snow"
WIDTH, HEIGHT = 1400, 900
SCRIPTS = "**/extensions/flux-duet/*.js"
FILL = """async ([kinds, count, text]) => {
    app.graph.clear();
    const columns = Math.ceil(Math.sqrt(count));
    for (let number = 0; number < count; number++) {
        const node = LiteGraph.createNode(kinds[number % kinds.length]);
        app.graph.add(node);
        node.pos = [500 * (number % columns), 700 * Math.floor(number / columns)];
        const box = node.widgets.find(widget => widget.name === "text");
        if (box) { box.value = text; box.callback?.(text); }
    }
    await app.extensionManager.command.execute("Comfy.Canvas.FitView");
}"""
# Milliseconds of each frame while the view moves to and fro.
PAN = """frames => new Promise(done => {
    const times = [], { ds } = app.canvas;
    let before = performance.now();
    function frame(now) {
        times.push(now - before);
        before = now;
        if (times.length > frames) return done(times.slice(1));
        ds.offset[0] += 12 * (times.length % 20 < 10 ? 1 : -1) / ds.scale;
        app.canvas.setDirty(true, true);
        requestAnimationFrame(frame);
    }
    requestAnimationFrame(frame);
})"""
PANELS = """() => app.graph.nodes.flatMap(node => node.widgets)
    .filter(widget => widget.type.startsWith("fluxduet_panel")).length"""
ZOOM = """scale => {
    const [node] = app.graph.nodes, { ds } = app.canvas;
    ds.scale = scale;
    ds.offset = [300 - node.pos[0], 200 - node.pos[1]];
    app.canvas.setDirty(true, true);
}"""


def page(started: Browser, server: Server, side: str, vue: bool, chosen: argparse.Namespace) -> FrontEnd:
    front = FrontEnd(started, server, vue=vue, width=WIDTH, height=HEIGHT)
    if side == "native":
        front.page.route(SCRIPTS, lambda route: route.abort())
        front.page.reload()
        front.page.wait_for_function(front_end.READY)
    front.page.evaluate(FILL, [KINDS, chosen.nodes, TEXT])
    front.page.wait_for_timeout(3000)  # until every node has its tokens
    panels = front.page.evaluate(PANELS)
    if (panels > 0) != (side == "ours"):
        raise ValueError(f"the page of the side '{side}' has {panels} panels of the pack, expected some only on 'ours'")
    return front


def measured(pages: dict[str, FrontEnd], name: str, chosen: argparse.Namespace) -> Comparison:
    taken = {side: [] for side in SIDES}
    for number, side in rounds(chosen.rounds):
        pages[side].page.bring_to_front()
        times = pages[side].page.evaluate(PAN, chosen.frames)
        taken[side].append(sum(times) / len(times) / 1000)
        say(f"  {name}, round {number + 1} of {chosen.rounds}, {side}: {seconds(taken[side][-1])} a frame")
    return Comparison(name, **taken)


def renderer(started: Browser, server: Server, vue: bool, chosen: argparse.Namespace) -> list[Comparison]:
    pages = {side: page(started, server, side, vue, chosen) for side in SIDES}
    name = f"{chosen.nodes} nodes, {'Nodes 2.0' if vue else 'LiteGraph'}"
    try:
        found = [measured(pages, f"{name}, all in sight", chosen)]
        for front in pages.values():
            front.page.evaluate(ZOOM, 1)
            front.page.wait_for_timeout(1000)
        return [*found, measured(pages, f"{name}, at full size", chosen)]
    finally:
        for front in pages.values():
            front.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench canvas", description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--frames", type=int, default=60, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    print(machine())
    with Server() as server, front_end.browser(path) as started:
        warn_if_busy()
        found = [each for vue in (False, True) for each in renderer(started, server, vue, chosen)]
    print(f"\n{chosen.rounds} rounds of {chosen.frames} frames\n\n{compared(found)}")


if __name__ == "__main__":
    main()
