"""ComfyUI's real front end in a headless browser, for tests. Needs playwright, from requirements-dev.txt.

Workflows in the front-end format become API prompts only there: no Python code knows all of its rules.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Response, sync_playwright

from .server import Server

# Headless, without GPU and network services; there is no sandbox for root in a container.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    # Only this machine's name is resolved, so that no test depends on the internet. Playwright's routes would
    # pass each request through Python and disable Chromium's cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
FRAMES = "LiteGraph.Canvas.MaximumFps"
READY = "() => !!(window.app?.extensionManager && window.app.vueAppReady && window.app.canvas)"
# Nodes whose class the server did not describe; notes and reroutes are the front end's own and have no nodeData.
MISSING = """() => app.graph.nodes
    .filter(node => node.has_errors || !(node.constructor.nodeData || node.isVirtualNode))
    .map(node => node.type)"""

QUEUE = """async timeout => {
    const ends = ["execution_success", "execution_error", "execution_interrupted"];
    const ended = new Promise(done => {
        for (const kind of ends) app.api.addEventListener(kind, event => done([kind, event.detail]), { once: true });
        setTimeout(() => done(["timeout", null]), 1000 * timeout);
    });
    // Sent last in every case, after the history is written.
    const written = new Promise(done => {
        const heard = ({ detail }) => {
            if (detail != null) return;
            app.api.removeEventListener("executing", heard);
            done();
        };
        app.api.addEventListener("executing", heard);
        setTimeout(done, 1000 * timeout);
    });
    if (await app.queuePrompt(0, 1) === false) return ["rejected", app.lastNodeErrors];
    return (await Promise.all([ended, written]))[0];
}"""
# Waits until the graph and its panels have not moved for some frames.
STILL = """async () => {
    const places = () => {
        const { scale, offset } = app.canvas.ds;
        const panels = [...document.querySelectorAll("[data-node-id], .dom-widget")];
        const boxes = panels.map(panel => panel.getBoundingClientRect());
        return JSON.stringify([scale, ...offset, ...boxes.map(box => [box.x, box.y, box.width, box.height])]);
    };
    for (let before = places(), same = 0, frames = 0; same < 8 && frames < 1800; frames++) {
        await new Promise(requestAnimationFrame);
        const now = places();
        [before, same] = [now, now === before ? same + 1 : 0];
    }
}"""
# The front end's own errors for a new user's empty profile.
USUAL = ("ComfyApp graph accessed before initialization", "Failed to load resource")
USUAL_404 = ("/user.css", "/userdata", "/en.md")  # the front end first requests help in the user's language


@contextmanager
def browser(path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS, timeout=120_000)
        try:
            yield started
        finally:
            started.close()


class FrontEnd:
    """An open page with its own profile. `page` is Playwright's; `errors` are the page's errors."""

    def __init__(
        self,
        started: Browser,
        server: Server,
        *,
        vue: bool = False,
        width: int = 1400,
        height: int = 900,
        timeout: float = 120,
    ):
        self.server = server
        self.errors: list[str] = []
        self.context = started.new_context(viewport={"width": width, "height": height})
        self.context.set_default_timeout(timeout * 1000)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("response", self._check)
        # Set on the server in advance: for a new user, the templates would open and cover the graph.
        server.post("/settings", {"Comfy.TutorialCompleted": True})
        self.page.goto(server.url)
        self.page.wait_for_function(READY)
        self.set("Comfy.VueNodes.Enabled", vue)

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith(USUAL):
            self.errors.append(text)

    def _check(self, response: Response) -> None:
        if response.status >= 400 and not any(part in response.url for part in USUAL_404):
            self.errors.append(f"{response.status} {response.url}")

    def set(self, setting: str, value: Any) -> None:
        self.page.evaluate("([name, value]) => app.extensionManager.setting.set(name, value)", [setting, value])

    def load(self, workflow: dict[str, Any] | Path) -> None:
        """Opens a front-end workflow, given as data or as the path of its file."""
        if isinstance(workflow, Path):
            workflow = json.loads(workflow.read_text(encoding="utf-8"))
        self.page.evaluate("workflow => app.loadGraphData(workflow)", workflow)

    def missing(self) -> list[str]:
        """The types of the nodes that the server does not have."""
        return self.page.evaluate(MISSING)

    def to_api(self) -> dict[str, Any]:
        """The open graph as the API prompt that the queue button would send."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def queue(self, timeout: float = 600) -> tuple[str, Any]:
        """Presses Run and waits for the end; returns ("execution_success", details), or another event."""
        self.set(FRAMES, 2)  # without a GPU, drawing the canvas at every frame takes five times as long as the sampling
        try:
            kind, detail = self.page.evaluate(QUEUE, timeout)
        finally:
            self.set(FRAMES, 0)  # as many as the display shows
        return kind, detail

    def fit(self) -> None:
        """Moves the selected nodes, or the whole graph, into view."""
        # The front end knows a node's bounds once it has drawn the node, which a slow canvas has perhaps not.
        self.page.evaluate("() => app.canvas.draw(true, true)")
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")

    def still(self) -> None:
        """Waits until the view does not move: fitting is animated, and panels follow their nodes a frame later."""
        self.page.evaluate(STILL)

    def screenshot(self, path: Path) -> Path:
        self.page.screenshot(path=str(path))
        return path

    def close(self) -> None:
        self.context.close()
