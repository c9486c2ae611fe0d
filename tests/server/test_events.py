"""What a client sees while a prompt runs: progress, previews, interruption, nodes' messages."""

import io
import json
import struct

import numpy
from PIL import Image

TEXT, PREVIEW = 3, 4  # ComfyUI's numbers for binary messages (protocol.py, BinaryEventTypes)


def parts(message: bytes) -> tuple[int, bytes, bytes]:
    """The kind of a binary message, its head (what it belongs to) and its body."""
    kind, size = struct.unpack(">II", message[:8])
    return kind, message[8 : 8 + size], message[8 + size :]


def test_every_step_is_reported_for_the_sampler(comfy_server, workflow):
    sampler, seen = workflow.node("FluxDuetSampler"), []
    workflow.inputs("FluxDuetSampler").update(steps=12, seed=3)

    def note(kind, data):
        if kind == "progress_state" and sampler in data["nodes"]:
            seen.append(data["nodes"][sampler])

    comfy_server.run(workflow, on_event=note)
    steps = [each["value"] for each in seen if each["max"] == 12]
    assert steps == sorted(steps) and set(range(1, 13)) <= set(steps)
    assert seen[-1]["state"] == "finished"
    assert {each["display_node_id"] for each in seen} == {sampler}


def test_previews_come_in_and_change(comfy_server, workflow):
    workflow.inputs("FluxDuetSampler")["seed"] = 4
    messages = [parts(message) for message in comfy_server.run(workflow).previews]
    previews = [(json.loads(head), body) for kind, head, body in messages if kind == PREVIEW]
    assert {head["node_id"] for head, _ in previews} == {workflow.node("FluxDuetSampler")}
    pictures = [numpy.asarray(Image.open(io.BytesIO(body))) for _, body in previews]
    assert len(pictures) == workflow.inputs("FluxDuetSampler")["steps"]
    assert not numpy.array_equal(pictures[0], pictures[-1])


def test_an_interrupted_run_ends_at_once_and_the_next_one_works(comfy_server, workflow):
    long = workflow.copy()
    long.inputs("FluxDuetSampler").update(steps=2000, seed=5)
    done = []

    def interrupt(kind, data):
        if kind == "progress":
            done.append(data["value"])
            if len(done) == 1:
                comfy_server.post("/interrupt")

    result = comfy_server.run(long, check=False, on_event=interrupt)
    assert result.status == "interrupted"
    assert result.error["node_type"] == "FluxDuetSampler"
    assert done[-1] < 1000
    workflow.inputs("FluxDuetSampler")["seed"] = 5
    assert len(comfy_server.run(workflow).images()) == 1


def test_a_cut_text_is_told_on_the_node_and_in_the_history(comfy_server, workflow):
    node = workflow.node("FluxDuetT5Encode")
    workflow[node]["inputs"].update(text="a red circle " * 70 + "and a last word", length="official 256")
    result = comfy_server.run(workflow)
    (message,) = result.outputs[node]["text"]
    assert message.startswith("T5 reads 256 of ") and message.endswith("and a last word")
    texts = [(head, body) for kind, head, body in map(parts, result.previews) if kind == TEXT]
    assert texts == [(node.encode(), message.encode())]


def test_a_text_that_fits_says_nothing_and_removes_what_was_said(comfy_server, workflow):
    node, before = workflow.node("FluxDuetT5Encode"), comfy_server.log()
    workflow[node]["inputs"].update(text="a red circle, whole", length="official 256")
    result = comfy_server.run(workflow)
    assert result.outputs[node]["text"] == [""]
    assert [body for kind, _, body in map(parts, result.previews) if kind == TEXT] == []
    assert "T5" not in comfy_server.log()[len(before) :]
