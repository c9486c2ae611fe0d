"""Wrong wiring and wrong files end in an error that names the cause and a remedy, and leave the server usable."""

import pytest


def feed(encoder, loader):
    return lambda workflow: workflow.inputs(encoder).update(clip=workflow.out(loader))


def choose(loader, name, file):
    return lambda workflow: workflow.inputs(loader).update({name: file})


MISTAKES = {
    "T5 into CLIP-L Encode": (
        feed("FluxDuetClipEncode", "FluxDuetLoadT5"),
        "FluxDuetClipEncode",
        ["has no CLIP-L, only T5", "Connect", "Load CLIP-L"],
    ),
    "CLIP-L into T5 Encode": (
        feed("FluxDuetT5Encode", "FluxDuetLoadClip"),
        "FluxDuetT5Encode",
        ["has no T5, only CLIP-L", "Connect", "Load T5"],
    ),
    "an autoencoder as T5": (
        choose("FluxDuetLoadT5", "t5_name", "misplaced_ae.safetensors"),
        "FluxDuetLoadT5",
        ["misplaced_ae.safetensors is not a T5 file", "found", "Choose a T5 text encoder"],
    ),
    "T5 as CLIP-L": (
        choose("FluxDuetLoadClip", "clip_name", "tiny_t5xxl.safetensors"),
        "FluxDuetLoadClip",
        ["tiny_t5xxl.safetensors is not a CLIP-L file", "found a T5 encoder of 2 blocks", "Choose a CLIP-L"],
    ),
    "cfg without a negative": (
        lambda workflow: workflow.inputs("FluxDuetSampler").update(cfg=3.0),
        "FluxDuetSampler",
        ["cfg is 3.0", "negative", "Dual Prompt"],
    ),
}


@pytest.mark.parametrize("make, node, words", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_cure(comfy_server, workflow, make, node, words):
    right = workflow.copy()
    make(workflow)
    result = comfy_server.run(workflow, check=False)
    assert result.status == "error"
    assert result.error["node_type"] == node
    assert result.error["exception_type"] == "ValueError"
    assert [word for word in words if word not in result.error["exception_message"]] == []
    assert len(comfy_server.run(right).images()) == 1


def test_sockets_of_the_two_streams_do_not_mix(comfy_server, workflow):
    workflow.inputs("FluxDuetDualPrompt")["vec"] = workflow.out("FluxDuetT5Encode")
    result = comfy_server.run(workflow, check=False)
    assert result.status == "rejected"
    (wrong,) = result.node_errors[workflow.node("FluxDuetDualPrompt")]["errors"]
    assert wrong["type"] == "return_type_mismatch"
    assert wrong["extra_info"]["received_type"] == "FLUX_TXT"
