"""`dev.py run devtools.movie [--out FILE] [--frames DIR]`: README's moving picture, images/two_prompts.webp.

ComfyUI's front end with two prompts: the CLIP prompt is typed anew and run, then the T5 prompt. `--frames DIR` also
writes each frame as a PNG, to look at. Change PROMPTS when the nano models have learned other things.
"""

import argparse
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFont

from . import ROOT, SetupError, browser, front_end, say
from .client import as_command
from .front_end import FrontEnd
from .screenshot import PICTURES, SETTINGS
from .server import Server

OUT, LIMIT = ROOT / "images" / "two_prompts.webp", 2_000_000  # bytes
WORKFLOW = ROOT / "workflows" / "api" / "dual_prompt.json"
CLIP, T5 = "FluxDuetClipEncode", "FluxDuetT5Encode"
# What is in the boxes at first, then what is typed: (node, text, caption while it is typed, caption of the result).
BEFORE = {CLIP: "at the beach", T5: "a black cat in the middle"}
PROMPTS = [
    (CLIP, "in the snow", "A new CLIP prompt ...", "... changes the scene: the cat stays."),
    (T5, "a green tree in the middle", "A new T5 prompt ...", "... changes the thing: the snow stays."),
]
OPENING = "Two prompts, one picture: CLIP sets the scene, T5 says what is where."

WINDOW = (1000, 620)
BAR, FONT = 40, 19  # the caption's height and its letters', in pixels
INK, PAPER, POINTER = (245, 245, 245), (32, 34, 40), (255, 255, 255)
QUALITY = 82
TYPING, RUNNING, READING, LOOKING = 70, 120, 1600, 2600  # how long a frame is seen, in milliseconds
EVERY = 2  # letters typed from frame to frame
MOST_RUNNING = 14  # frames of one run
# Place and size of the nodes in sight. The others are left of them and below, outside the picture.
PLACES = {
    CLIP: (0, 0, 360, 250),
    T5: (0, 300, 360, 290),
    "FluxDuetDualPrompt": (430, 0, 230, 90),
    "FluxDuetSampler": (430, 190, 230, 350),
    "SaveImage": (725, 30, 440, 540),
    "FluxDuetLoadClip": (-420, 0, 280, 82),
    "FluxDuetLoadT5": (-420, 300, 280, 82),
    "UNETLoader": (-420, 700, 280, 82),
    "EmptySD3LatentImage": (-60, 900, 280, 106),
    "VAELoader": (430, 900, 280, 58),
    "FluxDuetDecode": (760, 700, 220, 50),
}
LEFT, TOP, SCALE = 78, 128, 0.78  # where the graph's origin is in the window, and its scale
LAY_OUT = """([places, left, top, scale]) => {
    const FIXED = { seed: 1, control_after_generate: "fixed" };
    for (const node of app.graph.nodes) {
        const [x, y, width, height] = places[node.type];
        node.pos = [x, y];
        node.setSize([width, height]);
        for (const widget of node.widgets ?? []) if (widget.name in FIXED) widget.value = FIXED[widget.name];
    }
    const { ds } = app.canvas;
    ds.scale = scale;
    ds.offset = [left / scale, top / scale];
    app.canvas.setDirty(true, true);
}"""
NUMBERS = "() => Object.fromEntries(app.graph.nodes.map(node => [node.type, node.id]))"
# The next run's end: window.fluxDuetEnd is its event's name, and null until then.
LISTEN = """() => {
    window.fluxDuetEnd = null;
    for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
        app.api.addEventListener(kind, () => (window.fluxDuetEnd = kind), { once: true });
}"""
ENDED = "() => window.fluxDuetEnd"


@dataclass
class Film:
    """Frames with their times. A frame that looks like the last one prolongs it."""

    front: FrontEnd
    caption: str = ""
    frames: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def take(self, time: int, pointer: tuple[float, float] | None = None) -> None:
        view = Image.open(io.BytesIO(self.front.page.screenshot())).convert("RGB")
        frame = Image.new("RGB", (view.width, view.height + BAR), PAPER)
        frame.paste(view)
        draw = ImageDraw.Draw(frame)
        middle = (view.width / 2, view.height + BAR / 2)
        draw.text(middle, self.caption, fill=INK, font=ImageFont.load_default(FONT), anchor="mm")
        if pointer:
            draw.polygon(arrow(*pointer), fill=POINTER, outline=PAPER)
        if self.frames and ImageChops.difference(self.frames[-1], frame).getbbox() is None:
            self.times[-1] += time
        else:
            self.frames.append(frame)
            self.times.append(time)


def arrow(x: float, y: float) -> list[tuple[float, float]]:
    """A mouse pointer's outline, its tip at (x, y)."""
    shape = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
    return [(x + right, y + down) for right, down in shape]


def middle(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def type_prompt(film: Film, node: int, text: str) -> None:
    page = film.front.page
    box = page.locator(f"[data-node-id='{node}'] textarea").first
    film.take(READING // 2, middle(box))
    box.click()
    page.keyboard.press("ControlOrMeta+a")
    film.take(400)
    page.keyboard.press("Delete")
    for start in range(0, len(text), EVERY):
        page.keyboard.type(text[start : start + EVERY])
        page.wait_for_timeout(60)
        film.take(TYPING * EVERY)
    page.wait_for_timeout(1200)  # until the tokens under the box are those of the text
    film.take(700)


def run(film: Film) -> None:
    """Clicks Run and films until the new picture is on its node."""
    page = film.front.page
    button = page.get_by_test_id("queue-button")
    shown = page.evaluate("() => document.querySelector(\"[data-testid='main-image']\")?.src")
    page.evaluate(LISTEN)
    film.take(700, middle(button))
    button.click()
    frames = 0
    while not (end := page.evaluate(ENDED)):
        if frames < MOST_RUNNING:
            film.take(RUNNING, middle(button) if frames < 3 else None)
        frames += 1
        page.wait_for_timeout(200)
    if end != "execution_success":
        raise SetupError(f"the workflow did not run: {end}")
    page.wait_for_function(
        "old => document.querySelector(\"[data-testid='main-image']\")?.src !== old", arg=shown, timeout=60_000
    )
    page.wait_for_function(PICTURES)
    page.wait_for_timeout(1500)


def opened(front: FrontEnd) -> dict[str, int]:
    """Loads the workflow with the first prompts, runs it and returns the nodes' numbers by their types."""
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    for node in prompt.values():
        if node["class_type"] in BEFORE:
            node["inputs"]["text"] = BEFORE[node["class_type"]]
    front.page.evaluate("prompt => app.loadApiJson(prompt, 'Two Prompts')", prompt)
    front.still()
    front.page.evaluate(LAY_OUT, [PLACES, LEFT, TOP, SCALE])
    front.load(front.page.evaluate("() => app.graph.serialize()"))  # widgets show what was set when they are made
    kind, detail = front.queue()
    if kind != "execution_success":
        raise SetupError(f"{WORKFLOW.name} did not run: {kind} {json.dumps(detail)[:500]}")
    front.page.wait_for_function(PICTURES)
    front.page.wait_for_timeout(7000)  # until notifications have disappeared
    front.page.evaluate(LAY_OUT, [PLACES, LEFT, TOP, SCALE])
    front.still()
    return front.page.evaluate(NUMBERS)


def shot(front: FrontEnd) -> Film:
    numbers = opened(front)
    film = Film(front, OPENING)
    film.take(LOOKING)
    for kind, text, caption, result in PROMPTS:
        say(f"{kind}: {text}")
        film.caption = caption
        type_prompt(film, numbers[kind], text)
        run(film)
        film.caption = result
        film.take(LOOKING)
    return film


def save(film: Film, out: Path) -> None:
    first, *others = film.frames
    out.parent.mkdir(parents=True, exist_ok=True)
    first.save(out, save_all=True, append_images=others, duration=film.times, loop=0, quality=QUALITY, method=4)
    size = out.stat().st_size
    say(f"{out}: {len(film.frames)} frames, {sum(film.times) / 1000:.0f} s, {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SetupError(f"{out} has {size} bytes, more than {LIMIT}; lower QUALITY, or take fewer frames")


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py run devtools.movie", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--frames", type=Path, metavar="DIR", help="also write each frame here, as a PNG")
    options = parser.parse_args()
    path = browser.find()
    if path is None:
        raise SetupError(f"no browser: {browser.HOW_TO}")
    with Server() as server, front_end.browser(path) as started:
        front = FrontEnd(started, server, vue=True, width=WINDOW[0], height=WINDOW[1])
        for setting, value in SETTINGS.items():
            front.set(setting, value)
        film = shot(front)
    if options.frames:
        options.frames.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(film.frames):
            frame.save(options.frames / f"{number:03}.png")
    save(film, options.out)


if __name__ == "__main__":
    as_command(main)
