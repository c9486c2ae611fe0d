"""The probes on the real server: outputs, an unchanged picture, and no reading of another run."""

import json

import numpy
import pytest


def pixels(result, node: str) -> numpy.ndarray:
    (image,) = result.images(node)
    return numpy.asarray(image)


def text(workflow, link) -> str:
    """The id of a node that shows a text."""
    return workflow.add("PreviewAny", source=link)[0]


def empty(workflow) -> dict:
    clip, t5 = workflow.out("FluxDuetLoadClip"), workflow.out("FluxDuetLoadT5")
    return {
        "empty_vec": workflow.add("FluxDuetClipEncode", clip=clip, text=""),
        "empty_txt": workflow.add("FluxDuetT5Encode", clip=t5, text="", length="ComfyUI"),
    }


def heatmap(workflow) -> tuple[list, list]:
    """Around the sampler's model; (what Show Heatmap gives, the sampler's latent)."""
    sampler = workflow.inputs("FluxDuetSampler")
    txt = workflow.out("FluxDuetT5Encode")
    node, _ = workflow.add("FluxDuetHeatmap", model=sampler["model"], txt=txt, words="house")
    sampler["model"] = [node, 0]
    return workflow.add(
        "FluxDuetHeatmapShow",
        heatmap=[node, 1],
        latent=workflow.out("FluxDuetSampler"),
        image=workflow.out("FluxDuetDecode"),
        blocks="double",
    ), workflow.out("FluxDuetSampler")


def concepts(workflow) -> list:
    """Concept Heatmap in place of Token Heatmap, for a word that the prompt lacks."""
    sampler = workflow.inputs("FluxDuetSampler")
    t5 = workflow.out("FluxDuetLoadT5")
    node, _ = workflow.add("FluxDuetConcepts", model=sampler["model"], clip=t5, words="dragon, ring")
    sampler["model"] = [node, 0]
    return workflow.add("FluxDuetHeatmapShow", heatmap=[node, 1], latent=workflow.out("FluxDuetSampler"))


def influence(workflow):
    sampler = workflow.inputs("FluxDuetSampler")
    node, _ = workflow.add("FluxDuetInfluence", model=sampler["model"], null="both", every=2, **empty(workflow))
    sampler["model"] = [node, 0]
    return workflow.add(
        "FluxDuetInfluenceShow",
        probe=[node, 1],
        latent=workflow.out("FluxDuetSampler"),
        part="whole run",
        picture=workflow.out("FluxDuetDecode"),
    )


@pytest.mark.parametrize("probe", [heatmap, concepts, influence])
def test_the_picture_stays_the_same(comfy_server, workflow, probe):
    save = workflow.node("SaveImage")
    plain = pixels(comfy_server.run(workflow), save)
    probe(workflow)
    assert numpy.array_equal(pixels(comfy_server.run(workflow), save), plain)
    native = workflow.add_native_twin()
    assert numpy.array_equal(pixels(comfy_server.run(workflow), native), plain)


def test_another_look_samples_nothing(comfy_server, workflow):
    show, _ = heatmap(workflow)
    preview = text(workflow, [show[0], 3])
    first = json.loads(comfy_server.run(workflow).outputs[preview]["text"][0])
    assert first["words"] == ["house"] and 0 < first["shares"]["house"] < 1
    workflow[show[0]]["inputs"]["blocks"] = "single"
    again = comfy_server.run(workflow)
    assert set(again.executed) == {show[0], preview}
    assert json.loads(again.outputs[preview]["text"][0])["shares"] != first["shares"]
    workflow[show[0]]["inputs"]["blocks"] = "double"
    assert json.loads(comfy_server.run(workflow).outputs[preview]["text"][0]) == first


def test_a_new_seed_is_a_new_reading(comfy_server, workflow):
    show, _ = heatmap(workflow)
    preview, seen = text(workflow, [show[0], 3]), []
    for seed in (1, 2, 1):
        workflow.inputs("FluxDuetSampler")["seed"] = seed
        seen.append(comfy_server.run(workflow).outputs[preview]["text"][0])
    assert seen[0] == seen[2] != seen[1]


def test_another_run_s_latent_is_refused(comfy_server, workflow):
    show, _ = heatmap(workflow)
    inputs = dict(workflow.inputs("FluxDuetSampler"), seed=99, model=workflow.out("UNETLoader"))
    workflow[show[0]]["inputs"]["latent"] = workflow.add("FluxDuetSampler", **inputs)
    result = comfy_server.run(workflow, check=False)
    assert result.status == "error" and result.error["node_type"] == "FluxDuetHeatmapShow"
    assert "does not come from a run that this probe has seen" in result.error["exception_message"]


def test_a_word_s_mask_goes_on_to_native_nodes(comfy_server, workflow):
    show, latent = heatmap(workflow)
    masked = workflow.add("SetLatentNoiseMask", samples=latent, mask=[show[0], 1])
    again = dict(workflow.inputs("FluxDuetSampler"), latent=masked, denoise=0.7, seed=3)
    image = workflow.add("VAEDecode", samples=workflow.add("FluxDuetSampler", **again), vae=workflow.out("VAELoader"))
    save = workflow.save(image)
    result = comfy_server.run(workflow)
    assert not numpy.array_equal(pixels(result, save), pixels(result, workflow.node("SaveImage")))


def test_influence_tells(comfy_server, workflow):
    node, _ = influence(workflow)
    sentence, table = text(workflow, [node, 4]), text(workflow, [node, 5])
    result = comfy_server.run(workflow)
    assert "CLIP" in result.outputs[sentence]["text"][0] and "T5" in result.outputs[sentence]["text"][0]
    assert result.outputs[table]["text"][0].count("\n") >= 2


def prompts(workflow):
    sampler = workflow.inputs("FluxDuetSampler")
    return {
        "model": sampler["model"],
        "latent": sampler["latent"],
        "seed": 1,
        "steps": 4,
        "sampler": "euler",
        "scheduler": "simple",
    }


def sweep(workflow):
    other = workflow.add("FluxDuetT5Encode", clip=workflow.out("FluxDuetLoadT5"), text="a blue star", length="ComfyUI")
    b = workflow.add("FluxDuetDualPrompt", vec=workflow.out("FluxDuetClipEncode"), txt=other, guidance=3.5)
    return workflow.add(
        "FluxDuetSweep",
        **prompts(workflow),
        a=workflow.out("FluxDuetDualPrompt"),
        b=b,
        switch="T5",
        every=1,
        batch=8,
        vae=workflow.out("VAELoader"),
    )


def grid(workflow):
    return workflow.add(
        "FluxDuetGrid",
        **prompts(workflow),
        clip=workflow.out("FluxDuetLoadClip"),
        t5=workflow.out("FluxDuetLoadT5"),
        vae=workflow.out("VAELoader"),
        guidance=3.5,
        seeds=2,
        clip_prompts="at night\non pink paper",
        t5_prompts="a red ring\na blue star",
    )


def words(workflow):
    return workflow.add(
        "FluxDuetWords",
        **prompts(workflow),
        clip=workflow.out("FluxDuetLoadClip"),
        t5=workflow.out("FluxDuetLoadT5"),
        clip_text="at night",
        t5_text="a red ring",
        guidance=3.5,
        at="0.9, 0.3",
    )


@pytest.mark.parametrize("instrument, output, latents", [(sweep, 4, 5), (grid, 4, 8), (words, 2, 0)])
def test_instruments_that_sample_by_themselves(comfy_server, workflow, instrument, output, latents):
    node, _ = instrument(workflow)
    save = workflow.save([node, 0])
    sentence = text(workflow, [node, output])
    count = workflow.add("VAEDecode", samples=[node, 1], vae=workflow.out("VAELoader")) if latents else None
    decoded = workflow.save(count) if latents else None
    result = comfy_server.run(workflow)
    assert pixels_of(result, save).std() > 1
    assert len(result.outputs[sentence]["text"][0]) > 20
    if latents:
        assert len(result.images(decoded)) == latents


def pixels_of(result, node: str) -> numpy.ndarray:
    return numpy.asarray(result.images(node)[0])
