"""The controls on the real server: MMDiT Sampler and a native sampler with Apply Duet give the same picture."""

import numpy
import pytest


def pixels(result, node: str) -> numpy.ndarray:
    (image,) = result.images(node)
    return numpy.asarray(image)


def second(workflow):
    """Another prompt for each stream: (FLUX_VEC, FLUX_TXT), longer than the first."""
    vec = workflow.add("FluxDuetClipEncode", clip=workflow.out("FluxDuetLoadClip"), text="under water")
    text = "a small blue star in the top left, and a word more " * 30
    return vec, workflow.add("FluxDuetT5Encode", clip=workflow.out("FluxDuetLoadT5"), text=text, length="ComfyUI")


def join(workflow, vec=None, txt=None):
    return workflow.add(
        "FluxDuetDualPrompt",
        vec=vec or workflow.out("FluxDuetClipEncode"),
        txt=txt or workflow.out("FluxDuetT5Encode"),
        guidance=3.5,
    )


def blend(workflow):
    vec, txt = second(workflow)
    own = workflow.out("FluxDuetClipEncode"), workflow.out("FluxDuetT5Encode")
    return join(
        workflow,
        workflow.add("FluxDuetBlendVec", vec=own[0], mode="slerp", weight=0.5, other=vec),
        workflow.add("FluxDuetBlendTxt", txt=own[1], mode="join", weight=0.5, other=txt),
    )


def clip_negative(workflow):
    vec, _ = second(workflow)
    return join(
        workflow,
        workflow.add(
            "FluxDuetClipNegative", vec=workflow.out("FluxDuetClipEncode"), negative=vec, weight=2.0, blocks="1-"
        ),
    )


def schedule(workflow):
    vec, txt = second(workflow)
    return workflow.add(
        "FluxDuetSchedule",
        **{
            "vecs.vec1": workflow.out("FluxDuetClipEncode"),
            "vecs.vec2": vec,
            "txts.txt1": workflow.out("FluxDuetT5Encode"),
            "txts.txt2": txt,
            "clip_timeline": "1\n@1 2",
            "t5_timeline": "1\n@1..3 2",
            "guidance": 3.5,
        },
    )


def region(workflow):
    _, txt = second(workflow)
    mask = workflow.add("LoadImageMask", image="half.png", channel="alpha")
    placed = workflow.add(
        "FluxDuetRegion", base=workflow.out("FluxDuetT5Encode"), region=txt, mask=mask, strength=1.0, base_ratio=0.1
    )
    return join(workflow, txt=placed)


def route(workflow):
    return workflow.add(
        "FluxDuetRoute", a=join(workflow), b=join(workflow, *second(workflow)), clip_blocks="single", t5_blocks="1, 3"
    )


def nag(workflow):
    _, txt = second(workflow)
    return join(
        workflow,
        txt=workflow.add(
            "FluxDuetNag", txt=workflow.out("FluxDuetT5Encode"), negative=txt, scale=4.0, tau=2.5, alpha=0.5
        ),
    )


CONTROLS = [blend, clip_negative, schedule, region, route, nag]


@pytest.mark.parametrize("control", CONTROLS)
def test_a_native_sampler_behind_apply_duet_gives_the_same_picture(comfy_server, workflow, control):
    plain = pixels(comfy_server.run(workflow), workflow.node("SaveImage"))
    sampler = workflow.inputs("FluxDuetSampler")
    sampler["positive"] = control(workflow)
    ready = workflow.add("FluxDuetApply", model=sampler["model"])
    native = workflow.add_native_twin(model=ready)
    result = comfy_server.run(workflow)
    ours = pixels(result, workflow.node("SaveImage"))
    assert numpy.array_equal(ours, pixels(result, native))
    assert not numpy.array_equal(ours, plain)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_native_sampler_alone_says_what_is_missing(comfy_server, workflow, control):
    workflow.inputs("FluxDuetSampler")["positive"] = control(workflow)
    workflow.add_native_twin()
    result = comfy_server.run(workflow, check=False)
    assert result.status == "error" and result.error["node_type"] == "KSampler"
    assert "Put Apply Duet between the model and this sampler" in result.error["exception_message"]


def test_true_cfg_for_a_part_of_the_run(comfy_server, workflow):
    sampler = workflow.inputs("FluxDuetSampler")
    negative = join(workflow, *second(workflow))
    sampler.update(cfg=2.0, negative=workflow.add("FluxDuetOnly", conditioning=negative, start="1", end="2"))
    native = workflow.add_native_twin(model=workflow.add("FluxDuetApply", model=sampler["model"]))
    result = comfy_server.run(workflow)
    assert numpy.array_equal(pixels(result, workflow.node("SaveImage")), pixels(result, native))


# ---- a schedule as text

TEXT = {"clip_text": "on pink paper\n@2 under water", "t5_text": "a red ring\n@1 a blue star\n@3 a red ring"}


def as_text(workflow, **changes):
    clip, t5 = workflow.out("FluxDuetLoadClip"), workflow.out("FluxDuetLoadT5")
    return workflow.add("FluxDuetScheduleText", clip=clip, t5=t5, guidance=3.5, **{**TEXT, **changes})


def test_a_schedule_as_text_is_the_graph_of_it(comfy_server, workflow):
    words = workflow.copy()
    words.inputs("FluxDuetSampler")["positive"] = as_text(words)
    clip, t5 = workflow.out("FluxDuetLoadClip"), workflow.out("FluxDuetLoadT5")
    vecs = {
        f"vecs.vec{n}": workflow.add("FluxDuetClipEncode", clip=clip, text=text)
        for n, text in enumerate(("on pink paper", "under water"), 1)
    }
    txts = {
        f"txts.txt{n}": workflow.add("FluxDuetT5Encode", clip=t5, text=text, length="ComfyUI")
        for n, text in enumerate(("a red ring", "a blue star"), 1)
    }
    workflow.inputs("FluxDuetSampler")["positive"] = workflow.add(
        "FluxDuetSchedule", **vecs, **txts, clip_timeline="1\n@2 2", t5_timeline="1\n@1 2\n@3 1", guidance=3.5
    )
    save = workflow.node("SaveImage")
    assert numpy.array_equal(pixels(comfy_server.run(words), save), pixels(comfy_server.run(workflow), save))


def test_each_text_is_encoded_once_and_an_edit_encodes_its_own(comfy_server, workflow):
    texts = {"clip_text": "pink paper here\n@2 water here", "t5_text": "a ring here\n@1 a star here\n@3 a ring here"}
    workflow.inputs("FluxDuetSampler")["positive"] = as_text(workflow, **texts)
    schedule = workflow.node("FluxDuetScheduleText")

    def ran() -> int:
        """The number of executed nodes of the graph that the text expands to; their ids begin with its own."""
        return sum(node.startswith(f"{schedule}.") for node in comfy_server.run(workflow).executed)

    assert ran() == 2 + 2 + 1, "two CLIP texts, two T5 texts, and Prompt Schedule"
    workflow.inputs("FluxDuetScheduleText")["t5_text"] = "a ring here\n@1 a star there\n@3 a ring here"
    assert ran() == 1 + 1, "the edited text, and Prompt Schedule"


def test_the_report_stands_on_the_node_that_was_written(comfy_server, workflow):
    workflow.inputs("FluxDuetSampler")["positive"] = as_text(workflow, clip_text="paper now\n@2 water now")
    schedule = workflow.node("FluxDuetScheduleText")
    texts = [message for message in comfy_server.run(workflow).previews if b"CLIP from step 2" in message]
    assert len(texts) == 1 and texts[0][4:8] == len(schedule).to_bytes(4, "big")
    assert texts[0][8:].startswith(schedule.encode())


def test_what_is_wrong_in_a_timeline_is_told_on_the_node(comfy_server, workflow):
    workflow.inputs("FluxDuetSampler")["positive"] = as_text(workflow, t5_text="a\n@never b")
    result = comfy_server.run(workflow, check=False)
    assert result.status == "error" and result.error["node_type"] == "FluxDuetScheduleText"
    assert "'never' for a time, expected a step (8), a percent of time (40%)" in result.error["exception_message"]
