"""Fixtures, markers and rules of the test suite. Start it with `python dev.py test`.

    comfy_server    a real ComfyUI server with this pack and the tiny models; `comfy_server.run(prompt) -> RunResult`
    make_server     further servers with other arguments: `with make_server(args=["--cache-lru", "9"]) as server:`
    tiny_models     a folder of seeded random models in the official layouts, one subfolder for each kind:
                    diffusion_models/tiny_flux, text_encoders/tiny_clip_l and tiny_t5xxl, vae/tiny_ae (.safetensors)
    browser_path    an installed Chrome or Chromium
    open_page       the real front end of comfy_server: `front = open_page(vue=False)`

tests/server is marked `server`, tests/browser `browser`, and so is every test that uses these fixtures.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# For the servers that tests start. Tiny models gain nothing from a second thread; on a busy machine, two threads that
# wait for each other took ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _boot():
    """Makes `flux_duet` and ComfyUI importable, before pytest imports any test."""
    spec = importlib.util.spec_from_file_location("flux_duet_inside", ROOT / "devtools" / "inside.py")
    inside = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = inside
    spec.loader.exec_module(inside)
    inside.boot()


def _one_thread():
    """The same for this process, in which the search for a GPU has imported torch already."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def _same_examples():
    """Hypothesis uses the same examples in every run, so failures are reproducible. `dev.py fuzz` tries others."""
    from hypothesis import settings

    settings.register_profile("same", derandomize=True, database=None, deadline=None)
    settings.load_profile("same")


_boot()
_one_thread()
_same_examples()

# Cheap tests run first. Browser tests come last for another reason too: Playwright
# keeps an event loop in the main thread, where no asyncio.run works any more.
ORDER = ["unit", "comfy", "server", "browser"]
FIXTURES = {"comfy_server": "server", "make_server": "server", "browser_path": "browser", "open_page": "browser"}
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
COSTLY = ("server", "browser")


def _folder(item) -> str:
    inside = Path(item.path).relative_to(ROOT / "tests").parts
    return inside[0] if len(inside) > 1 else "unit"


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(items):
    for item in items:
        marks = {FIXTURES[name] for name in item.fixturenames if name in FIXTURES}
        if _folder(item) in COSTLY:
            marks.add(_folder(item))
        for mark in marks:
            item.add_marker(mark)
    items.sort(key=lambda item: ORDER.index(_folder(item)) if _folder(item) in ORDER else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped server or browser test fails, since it would look like a passed one."""
    report = yield
    marks = [mark for mark in COSTLY if item.get_closest_marker(mark)]
    if report.skipped and marks and not hasattr(report, "wasxfail"):
        report.costly = marks[0]
        if IN_CI:
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"{reason}\nA {marks[0]} test may not be skipped in CI."
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from flux_duet.tests import parallel

    return parallel.scheduler(config, log)


def pytest_terminal_summary(terminalreporter):
    skipped = [report for report in terminalreporter.getreports("skipped") if hasattr(report, "costly")]
    if skipped:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[-1]}", red=True)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> Path:
    """Made once per session; read-only."""
    from flux_duet.nano import layouts

    folder = tmp_path_factory.mktemp("models")
    for path in layouts.save(folder).values():
        # The trained models in workflows/models have the files' default names, and a server lists both.
        path.rename(path.with_name(path.name.replace("nano_", "tiny_")))
    return folder


@pytest.fixture(scope="session")
def make_server(tiny_models):
    """A function that makes a server with the tiny models; its arguments are those of devtools.server.Server."""
    from flux_duet.devtools.server import Server

    models = {path.name: path for path in tiny_models.iterdir() if path.is_dir()}
    return lambda **options: Server(**{"model_folders": models, **options})


@pytest.fixture(scope="session")
def comfy_server(make_server):
    with make_server() as server:
        yield server


@pytest.fixture(scope="session")
def browser_path() -> Path:
    from flux_duet.devtools import browser

    path = browser.find()
    if path is None:
        pytest.skip(f"no browser: {browser.HOW_TO}")
    return path


@pytest.fixture(scope="session")
def _browser(browser_path):
    from flux_duet.devtools import front_end

    with front_end.browser(browser_path) as started:
        yield started


@pytest.fixture
def open_page(_browser, comfy_server):
    """Opens the front end in a fresh profile: `open_page(vue=False) -> FrontEnd`; closed after the test."""
    from flux_duet.devtools import front_end

    opened = []

    def open_one(server=comfy_server, **options):
        opened.append(front_end.FrontEnd(_browser, server, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()
