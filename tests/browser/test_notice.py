"""What nodes say: at the node's foot, whole, without a pixel from the prompt box; errors in the front end's message."""

import pytest

from flux_duet.tests.browser.tokens.boxes import CLIP, T5, add, box
from flux_duet.tests.browser.waiting import becomes

SAY = "([kind, detail]) => app.api.dispatchCustomEvent(kind, detail)"
SIZE = "() => [app.graph.nodes[0].size[1], app.graph.serialize().nodes[0].size[1]]"
AT_FULL_SIZE = """() => {
    Object.assign(app.canvas.ds, { scale: 1, offset: [100, 0] });
    app.canvas.setDirty(true, true);
}"""
TALLER = """() => {
    const node = app.graph.nodes[0];
    node.setSize([node.size[0], node.size[1] + 200]);
    app.canvas.setDirty(true, true);
}"""
LONG = "T5 reads 256 of 356 tokens. Not read: " + "a red circle beside a ring with stripes, " * 7


def executed(front, text):
    front.page.evaluate(SAY, ["executed", {"node": "1", "display_node": "1", "output": {"text": [text]}}])


def height(front):
    return round(box(front).bounding_box()["height"])


@pytest.fixture
def node(front):
    placed(front, T5)
    return front


def placed(front, kind):
    add(front, kind)
    front.still()  # the view is moved in an animation
    front.page.evaluate(AT_FULL_SIZE)
    front.still()


def test_a_notice_is_whole_and_moves_nothing(node):
    before, (tall, _) = height(node), node.page.evaluate(SIZE)
    node.page.evaluate(SAY, ["progress_text", {"nodeId": "1", "text": LONG}])
    executed(node, LONG)
    notice = node.page.locator(".notice")
    becomes(node, lambda: notice.inner_text().strip(), LONG.strip())
    node.still()
    assert notice.evaluate("each => each.scrollHeight <= each.clientHeight + 1 && each.clientHeight > 60")
    taller, saved = node.page.evaluate(SIZE)
    assert taller > tall + 60 and saved == pytest.approx(tall, abs=1)
    assert abs(height(node) - before) <= 2
    assert node.page.evaluate("() => app.graph.nodes[0].widgets.every(each => each.name !== '$$node-text-preview')")
    executed(node, "")
    becomes(node, notice.count, 0)
    node.still()
    assert node.page.evaluate(SIZE)[0] == pytest.approx(tall, abs=1) and abs(height(node) - before) <= 2
    assert node.errors == []


@pytest.mark.parametrize("raised_in", [T5, "KSampler"])
def test_the_message_of_an_error_is_ours(node, raised_in):
    text = "This CLIP has no T5, only CLIP-L. Connect Load T5."
    trace = ['  File "/somewhere/custom_nodes/flux-duet/nodes/encode/encoding.py", line 1, in _require\n']
    detail = {
        "prompt_id": "1", "node_id": "1", "node_type": raised_in, "executed": [], "exception_message": f"{text}\n",
        "exception_type": "ValueError", "traceback": trace, "current_inputs": {}, "current_outputs": {},
    }  # fmt: skip
    node.page.evaluate(SAY, ["execution_error", detail])
    node.page.locator("[data-testid=error-overlay-messages]").get_by_text(text).wait_for()
    assert node.page.locator(".notice[data-kind=error]").inner_text() == text
    node.page.evaluate(SAY, ["execution_start", {"prompt_id": "2"}])
    becomes(node, node.page.locator(".notice").count, 0)
    node.errors.clear()


def test_another_pack_s_error_stays_as_it_is(node):
    detail = {
        "prompt_id": "1", "node_id": "1", "node_type": "KSampler", "executed": [], "exception_message": "theirs",
        "exception_type": "ValueError", "traceback": ["/x/nodes.py"], "current_inputs": {}, "current_outputs": {},
    }  # fmt: skip
    node.page.evaluate(SAY, ["execution_error", detail])
    node.page.locator("[data-testid=error-overlay-messages]").wait_for()
    node.still()
    assert "theirs" not in node.page.locator("[data-testid=error-overlay-messages]").inner_text()
    assert node.page.locator(".notice").count() == 0
    node.page.evaluate(SAY, ["execution_start", {"prompt_id": "2"}])
    node.errors.clear()


def test_a_panel_takes_no_room_that_a_text_box_could_have(front):
    """In Vue nodes, too, all of a node's free space is the text box's."""
    placed(front, CLIP)
    panel = front.page.locator(".panel").first
    before, text = panel.bounding_box()["height"], height(front)
    front.page.evaluate(TALLER)
    front.still()
    becomes(front, lambda: abs(height(front) - text - 200) <= 3, True)
    assert panel.bounding_box()["height"] == pytest.approx(before, abs=1)
    assert front.errors == []
