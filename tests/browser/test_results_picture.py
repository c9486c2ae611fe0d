"""Heatmap of a Picture's panel is Show Heatmap's: words, places and blocks, without the choice of steps."""

from flux_duet.tests.browser.shipped import shipped
from flux_duet.tests.browser.waiting import becomes

KIND = "FluxDuetPictureHeatmap"
NODE = f"app.graph.nodes.find(node => node.comfyClass === '{KIND}')"


def exported(front) -> dict:
    return next(data["inputs"] for data in front.to_api().values() if data["class_type"] == KIND)


def test_a_word_is_chosen_and_blocks_are_looked_at_on_the_node(front):
    workflow = shipped("picture_heatmap")
    next(node for node in workflow["nodes"] if node["type"] == KIND)["widgets_values"][0] = "red, blue"
    front.load(workflow)
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    front.page.evaluate(f"() => {{ app.canvas.deselectAll(); app.canvas.selectNode({NODE}); }}")
    front.fit()
    front.still()
    front.page.locator(".word").first.wait_for()
    assert front.page.locator(".word").evaluate_all("each => each.map(word => word.title)") == ["red", "blue"]
    assert front.page.get_by_role("slider", name="First step").count() == 0
    requests = []
    front.page.on("request", lambda request: requests.append((request.method, request.url)))
    front.page.locator(".word").nth(1).click()
    assert exported(front)["word"] == "blue" and exported(front)["blocks"] == ""
    front.page.get_by_role("slider", name="First block").press("End")
    becomes(front, lambda: exported(front)["blocks"], "5")
    becomes(front, lambda: any(url.endswith("/flux_duet/heatmap") for _, url in requests), True)
    assert not [url for method, url in requests if method == "POST" and url.endswith("/prompt")]
    assert front.errors == []
