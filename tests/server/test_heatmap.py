"""POST /flux_duet/heatmap returns other steps and blocks of a run's maps, and refuses all other requests."""

import base64
import json

import numpy
import pytest
from safetensors.numpy import load_file

from flux_duet.tests.server import asking

URL = "/flux_duet/heatmap"
NAME = "0" * 32


def ask(server, body, kind="application/json") -> tuple[int, dict]:
    return asking.ask(server, URL, body, kind)


def shown(workflow, **inputs) -> str:
    """The id of a Show Heatmap around the sampler."""
    sampler = workflow.inputs("FluxDuetSampler")
    node, _ = workflow.add(
        "FluxDuetHeatmap", model=sampler["model"], txt=workflow.out("FluxDuetT5Encode"), words="house, tree"
    )
    sampler["model"] = [node, 0]
    return workflow.add(
        "FluxDuetHeatmapShow",
        heatmap=[node, 1],
        latent=workflow.out("FluxDuetSampler"),
        image=workflow.out("FluxDuetDecode"),
        **inputs,
    )[0]


def test_it_gives_any_steps_and_blocks_of_a_run(comfy_server, workflow):
    result = comfy_server.run(workflow := _with_all_maps(workflow))
    (shown,) = result.outputs[workflow.node("FluxDuetHeatmapShow")]["flux_duet_heatmap"]
    assert shown["words"] == ["house", "tree"] and shown["steps"] == [0, 1, 2, 3]
    assert len(json.dumps(shown)) < 1000
    raw = load_file(comfy_server.base / "output" / "raw.safetensors")["maps"].astype(numpy.float32)
    status, seen = ask(comfy_server, {"name": shown["name"], "first": 1, "last": 2, "blocks": "single"})
    assert status == 200 and seen["words"] == shown["words"] and seen["size"] == shown["size"]
    expected = raw[1:3, shown["double"] :, 0].mean((0, 1))
    numpy.testing.assert_allclose(decoded(seen), expected, atol=(expected.max() - expected.min()) / 250)
    assert 0 < seen["shares"]["house"] < 1 and seen["shares"]["all text"] + seen["image"] == pytest.approx(1)
    assert comfy_server.get(f"/view?filename={shown['picture']['filename']}&type=temp")[:4] == b"\x89PNG"


def _with_all_maps(workflow):
    shown(workflow, save_as="raw")
    return workflow


def decoded(seen: dict) -> numpy.ndarray:
    """[words, h * w], decoded as by the front end."""
    levels = numpy.frombuffer(base64.b64decode(seen["maps"]), numpy.uint8).reshape(len(seen["words"]), -1)
    least, most = (numpy.array(seen[name])[:, None] for name in ("least", "most"))
    return least + levels / 255 * (most - least)


def test_the_same_reading_is_one_file(comfy_server, workflow):
    show = shown(workflow)
    first = comfy_server.run(workflow).outputs[show]["flux_duet_heatmap"][0]["name"]
    workflow[show]["inputs"]["word"] = "tree"
    result = comfy_server.run(workflow)
    assert result.executed == [show]
    assert result.outputs[show]["flux_duet_heatmap"][0]["name"] == first


def test_a_word_s_own_mask(comfy_server, workflow):
    show = shown(workflow)
    both = workflow.save(workflow.add("MaskToImage", mask=[show, 1]))
    one = workflow.save(workflow.add("MaskToImage", mask=[show, 4]))
    for word, number in (("", 0), ("TREE ", 1)):
        workflow[show]["inputs"]["word"] = word
        result = comfy_server.run(workflow)
        (mask,) = result.images(one)
        assert numpy.array_equal(mask, result.images(both)[number])
    workflow[show]["inputs"]["word"] = "blue"
    result = comfy_server.run(workflow, check=False)
    assert "expected one of those recorded: house, tree" in result.error["exception_message"]


REFUSED = {
    "another type": (b"{}", 415, "expected the content type application/json", "text/plain"),
    "no JSON": (b"{", 400, "got invalid JSON"),
    "no name": ({}, 400, "whose `name` is a reading's"),
    "a path": ({"name": "../../etc/passwd"}, 400, "whose `name` is a reading's"),
    "a path of that length": ({"name": "../" * 10 + "ab"}, 400, "whose `name` is a reading's"),
    "a name that goes on": ({"name": NAME + "\n"}, 400, "whose `name` is a reading's"),
    "an unknown field": ({"name": NAME, "folder": "/"}, 400, "unknown field 'folder'"),
    "a text for a step": ({"name": NAME, "first": "0"}, 400, "for `first`"),
    "a switch for a step": ({"name": NAME, "last": True}, 400, "for `last`"),
    "a step below 0": ({"name": NAME, "first": -1}, 400, "for `first`"),
    "a list for blocks": ({"name": NAME, "blocks": [1]}, 400, "a short text for `blocks`"),
    "a word for blocks": ({"name": NAME, "blocks": "most"}, 400, "Got 'most' in the list of blocks"),
    "endless blocks": ({"name": NAME, "blocks": "0-99999999"}, 400, "larger than any model's block number"),
    "gone": ({"name": NAME}, 404, "no longer on the server. Run the workflow again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_told_what_to_change(comfy_server, case):
    body, status, words, *kind = REFUSED[case]
    got, answer = ask(comfy_server, body, *kind)
    assert (got, list(answer)) == (status, ["error"])
    assert words in answer["error"] and len(answer["error"]) < 400


def test_nothing_chosen_is_reported(comfy_server, workflow):
    show = shown(workflow)
    name = comfy_server.run(workflow).outputs[show]["flux_duet_heatmap"][0]["name"]
    status, answer = ask(comfy_server, {"name": name, "first": 9})
    assert status == 400 and "no step is chosen" in answer["error"]
