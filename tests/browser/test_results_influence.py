"""Show Influence's panel: the sentence, the curves, and all values at the step under the pointer."""

import json

import pytest

from flux_duet.tests.browser.shipped import in_steps, shipped
from flux_duet.tests.browser.waiting import becomes

KIND = "FluxDuetInfluenceShow"
NODE = f"app.graph.nodes.find(node => node.comfyClass === '{KIND}')"
READING = f"() => app.nodeOutputs[{NODE}.id].flux_duet_influence[0]"


@pytest.fixture
def shown(front):
    """The shipped workflow in five steps, run, its panel in view."""
    front.load(in_steps(shipped("encoder_influence"), 5))
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    in_view(front)
    yield front
    assert front.errors == []


def in_view(front) -> None:
    front.page.evaluate(f"() => {{ app.canvas.deselectAll(); app.canvas.selectNode({NODE}); }}")
    front.fit()
    front.page.locator(".chart .line").first.wait_for(state="attached")
    front.still()


def lines(front) -> int:
    return front.page.locator(".chart .line").count()


def values(front) -> list[str]:
    return front.page.locator(".values").inner_text().split("\n")


def test_every_value_at_a_step(shown):
    reading = shown.page.evaluate(READING)
    assert shown.page.locator(".finding").inner_text() == reading["sentence"]
    assert lines(shown) == 6
    box = shown.page.locator(".chart svg").first.bounding_box()
    shown.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    shown_values = values(shown)
    assert shown_values[0].startswith(f"Step 2, \u03c3 {reading['sigma'][2]:.3f}, {reading['percent'][2]:.0f} %")
    numbers = reading["nulls"]["empty prompt"]
    for name, column in (
        ("T5 beside CLIP", "D_t5"),
        ("CLIP alone", "solo_clip"),
        ("both", "whole"),
        ("the same, again", "floor"),
    ):
        share = 100 * numbers[column][2]
        value = float(shown_values[shown_values.index(name) + 1].removesuffix(" %"))
        assert value == pytest.approx(share, rel=0.06, abs=0.006)
    shown.page.mouse.move(box["x"], box["y"] - 60)
    assert not shown.page.locator(".values").is_visible()


def test_keys_walk_through_the_steps(shown):
    plot = shown.page.get_by_role("slider", name="What each prompt changes, by step")
    plot.press("ArrowRight")
    plot.press("ArrowRight")
    assert values(shown)[0].startswith("Step 1,")
    spoken = plot.get_attribute("aria-valuetext")
    assert spoken.startswith("Step 1,") and "T5 alone" in spoken
    plot.press("End")
    assert values(shown)[0].startswith("Step 4,")
    assert shown.page.evaluate(f"() => Boolean({NODE})")  # the canvas does not handle End and the arrow keys here


def test_lines_come_and_go(shown):
    shown.page.get_by_role("button", name="alone", exact=True).click()
    assert lines(shown) == 4
    shown.page.get_by_role("button", name="shared").click()
    assert lines(shown) == 5
    shown.page.get_by_role("button", name="who decides").click()
    assert lines(shown) == 2
    shown.page.get_by_role("slider", name="What each prompt changes, by step").press("Home")
    shares = [float(each.removesuffix(" %")) for each in values(shown) if each.endswith(" %")]
    assert sum(shares) == pytest.approx(100, abs=1)
    shown.page.get_by_role("button", name="both", exact=True).click()
    assert lines(shown) == 1


def test_it_grows_with_the_node_and_leaves_with_it(shown):
    before = shown.page.locator(".chart").bounding_box()["height"]
    shown.page.evaluate(f"""() => {{
        {NODE}.setSize([{NODE}.size[0], {NODE}.size[1] + 200]);
        app.canvas.setDirty(true, true);
    }}""")
    chart = shown.page.locator(".chart")
    becomes(shown, lambda: chart.bounding_box()["height"] > before, True)
    shown.page.evaluate(f"() => app.graph.remove({NODE})")
    becomes(shown, chart.count, 0)


def test_the_result_is_not_in_the_workflow_but_outlives_a_reload(shown):
    saved = shown.page.evaluate("() => app.graph.serialize()")
    assert len(json.dumps(next(node for node in saved["nodes"] if node["type"] == KIND))) < 5000
    finding = shown.page.locator(".finding").inner_text()
    shown.page.reload()
    shown.page.wait_for_function(f"() => window.app?.graph && {NODE}")
    in_view(shown)
    assert shown.page.locator(".finding").inner_text() == finding
