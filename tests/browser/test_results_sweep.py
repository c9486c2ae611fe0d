"""Switch Sweep's panel: one cursor for film strip, large frame and curve; the decided step is marked in both."""

import json

import pytest

from flux_duet.tests.browser.shipped import shipped
from flux_duet.tests.browser.waiting import becomes

KIND = "FluxDuetSweep"
NODE = f"app.graph.nodes.find(node => node.comfyClass === '{KIND}')"
SWEPT = f"() => app.nodeOutputs[{NODE}.id].flux_duet_sweep[0]"


@pytest.fixture
def shown(front):
    """The shipped workflow in five steps, run, its panel in view."""
    front.load(shipped("switch_sweep"))
    front.page.evaluate(f"""() => {{
        {NODE}.widgets.find(widget => widget.name === 'steps').value = 5;
        app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
    }}""")
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    in_view(front)
    yield front
    assert front.errors == []


def in_view(front) -> None:
    front.page.evaluate(f"() => {{ app.canvas.deselectAll(); app.canvas.selectNode({NODE}); }}")
    front.fit()
    front.page.locator(".shot").first.wait_for()
    front.still()


def large(front) -> str:
    return front.page.locator(".large img").get_attribute("src")


def test_one_cursor_for_strip_picture_and_curve(shown):
    swept = shown.page.evaluate(SWEPT)
    assert len(json.dumps(swept)) < 3000
    assert shown.page.locator(".shot").count() == len(swept["frames"]) == 6
    shots = shown.page.locator(".shot")
    sources = shown.page.locator(".shot img").evaluate_all("all => all.map(image => image.src)")
    loaded = "all => all.every(image => image.naturalWidth === 128)"
    becomes(shown, lambda: shown.page.locator(".shot img").evaluate_all(loaded), True)
    shown.still()
    shots.nth(1).hover()
    becomes(shown, lambda: large(shown) in sources[1], True)
    assert shown.page.locator(".values").inner_text().startswith(f"B from step 1, \u03c3 {swept['sigma'][1]:.2f}")
    assert f"{swept['percent'][1]:.0f} % of time" in shown.page.locator("figcaption").inner_text()
    box = shown.page.locator(".chart svg").first.bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] - 12, box["y"] + box["height"] / 2)
    becomes(shown, lambda: large(shown) in sources[5], True)
    assert "at" in shots.nth(5).get_attribute("class").split()
    shown.page.mouse.move(box["x"], box["y"] - 300)
    becomes(shown, lambda: large(shown) in sources[round(swept["decided"])], True)


def test_the_decision_is_marked_between_the_frames(shown):
    swept = shown.page.evaluate(SWEPT)
    at = shown.page.locator(".shot").evaluate_all("all => all.findIndex(shot => shot.querySelector('.decision'))")
    assert swept["way"][at] >= 0.5 > swept["way"][at + 1]
    assert shown.page.locator(".chart .mark").count() == 1
    assert shown.page.locator(".finding").inner_text().startswith("The picture is decided at step")


def test_keys_and_clicks(shown):
    shown.page.locator(".shot").first.click()
    shown.page.keyboard.press("ArrowRight")
    becomes(shown, lambda: shown.page.locator(".values").inner_text().startswith("B from step 1,"), True)
    shown.page.keyboard.press("End")
    becomes(shown, lambda: shown.page.locator(".values").inner_text().startswith("A in all steps"), True)
    first = shown.page.locator(".shot img").first.get_attribute("src")
    shown.page.locator(".finding").hover()
    shown.page.locator(".shot").last.evaluate("shot => shot.blur()")
    becomes(shown, lambda: large(shown), first)  # the one that was clicked


def test_pictures_that_are_gone_are_told_after_a_reload(shown, forgotten):
    before = shown.page.locator(".finding").inner_text()
    for file in shown.page.evaluate(SWEPT)["frames"]:
        for path in shown.server.base.glob(f"temp/**/{file['filename']}"):
            path.unlink()
    shown.page.reload()
    shown.page.wait_for_function(f"() => window.app?.graph && {NODE}")
    in_view(shown)
    becomes(shown, lambda: shown.page.locator(".finding").first.inner_text(), before)
    shown.page.get_by_text("The pictures are no longer on the server. Run the workflow again").wait_for()
    shown.errors.clear()  # the browser's own lines about the 404s
