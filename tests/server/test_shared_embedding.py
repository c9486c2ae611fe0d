"""A saved prompt gives the same picture without a text encoder."""

import shutil

import numpy
import pytest

from flux_duet.tests.server.test_workflow import pixels

ENCODERS = ("FluxDuetLoadClip", "FluxDuetLoadT5", "FluxDuetClipEncode", "FluxDuetT5Encode")


@pytest.fixture
def shared(comfy_server, workflow):
    """A picture by weighted prompts, and the name of the file that both streams were saved to."""
    workflow.inputs("FluxDuetClipEncode")["text"] = "in the (dark:1.4)"
    workflow.inputs("FluxDuetT5Encode").update(text="a (large:2.0) red circle", weights="attention")
    streams = workflow.inputs("FluxDuetDualPrompt")
    workflow.add("FluxDuetSaveStream", filename_prefix="shared", vec=streams["vec"], txt=streams["txt"])
    picture = pixels(comfy_server.run(workflow), workflow.node("SaveImage"))
    (file,) = (comfy_server.base / "output").glob("shared_*.safetensors")
    shutil.move(file, comfy_server.base / "input" / file.name)
    return picture, file.name


def without_encoders(workflow, file):
    """The graph of somebody who has the file, and no node that loads or runs an encoder."""
    del workflow[workflow.node("FluxDuetSaveStream")]
    loaded = workflow.add("FluxDuetLoadStream", file=file)[0]
    workflow.inputs("FluxDuetDualPrompt").update(vec=[loaded, 0], txt=[loaded, 1])
    for kind in ENCODERS:
        del workflow[workflow.node(kind)]
    return workflow


def test_the_same_picture_without_a_text_encoder(comfy_server, workflow, shared):
    picture, file = shared
    own = without_encoders(workflow, file)
    assert not [node for node in own.values() if "CLIP" in node["class_type"] or "T5" in node["class_type"]]
    result = comfy_server.run(own)
    assert result.did_run(own.node("FluxDuetSampler"))
    assert numpy.array_equal(pixels(result, own.node("SaveImage")), picture)


def test_an_exchanged_file_is_read_anew_and_a_damaged_one_named(comfy_server, workflow, shared):
    own = without_encoders(workflow, shared[1])
    comfy_server.run(own)
    path = comfy_server.base / "input" / shared[1]
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    result = comfy_server.run(own, check=False)
    assert result.error["node_type"] == "FluxDuetLoadStream"
    assert "checksum is wrong" in result.error["exception_message"]


def test_a_file_that_is_not_there_is_named_before_anything_runs(comfy_server, workflow, shared):
    result = comfy_server.run(without_encoders(workflow, "../shared.safetensors"), check=False)
    assert result.status == "rejected" and "'../shared.safetensors' was not found" in str(result.node_errors)


def test_a_name_that_asks_for_a_picture_s_size_is_named_before_anything_runs(comfy_server, workflow):
    streams = workflow.inputs("FluxDuetDualPrompt")
    workflow.add("FluxDuetSaveStream", filename_prefix="%width%", vec=streams["vec"])
    del workflow[workflow.node("SaveImage")]
    result = comfy_server.run(workflow, check=False)
    assert result.status == "rejected" and "an embedding has no picture" in str(result.node_errors)
