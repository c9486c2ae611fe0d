"""The shipped workflow on the real server, compared with ComfyUI's own nodes on the same files."""

import numpy
import pytest


def pixels(result, node: str) -> numpy.ndarray:
    """The only picture of one Save Image, [H, W, 3]; never a plain one, which would equal another by chance."""
    (image,) = result.images(node)
    picture = numpy.asarray(image)
    assert picture.std() > 1
    return picture


def test_as_shipped_it_gives_the_native_graph_s_picture(nano_server, shipped):
    workflow = shipped.copy()
    native = workflow.add_native_twin()
    result = nano_server.run(workflow)
    ours = pixels(result, workflow.node("SaveImage"))
    size = workflow.inputs("EmptySD3LatentImage")
    assert ours.shape == (size["height"], size["width"], 3)
    assert numpy.array_equal(ours, pixels(result, native))


def test_dual_clip_loader_has_no_room_for_small_encoders(nano_server, shipped):
    """Why the nano workflow needs our loaders: ComfyUI builds CLIP-L and T5-XXL at their full sizes."""
    workflow = shipped.copy()
    dual = workflow.add(
        "DualCLIPLoader",
        clip_name1=workflow.inputs("FluxDuetLoadClip")["clip_name"],
        clip_name2=workflow.inputs("FluxDuetLoadT5")["t5_name"],
        type="flux",
    )
    workflow.inputs("FluxDuetClipEncode")["clip"] = dual
    result = nano_server.run(workflow, check=False)
    assert result.status == "error" and result.error["node_type"] == "DualCLIPLoader"
    assert "size mismatch" in result.error["exception_message"]


def test_both_prompts_and_the_seed_reach_the_picture(comfy_server, workflow):
    pictures = [pixels(comfy_server.run(workflow), workflow.node("SaveImage"))]
    for kind, name, value in (
        ("FluxDuetClipEncode", "text", "on snow"),
        ("FluxDuetT5Encode", "text", "a small star"),
        ("FluxDuetSampler", "seed", 2),
    ):
        changed = workflow.copy()
        changed.inputs(kind)[name] = value
        pictures.append(pixels(comfy_server.run(changed), workflow.node("SaveImage")))
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_split_and_dual_prompt_undo_each_other(comfy_server, workflow):
    workflow.inputs("FluxDuetDualPrompt")["guidance"] = 2.0
    again = workflow.copy()
    split, _ = again.add("FluxDuetSplit", conditioning=again.out("FluxDuetDualPrompt"))
    joined = again.add("FluxDuetDualPrompt", vec=[split, 0], txt=[split, 1], guidance=[split, 2])
    again.inputs("FluxDuetSampler")["positive"] = joined
    save = workflow.node("SaveImage")
    second = comfy_server.run(again)
    assert second.did_run(joined[0]) and second.did_run(save)
    assert numpy.array_equal(pixels(comfy_server.run(workflow), save), pixels(second, save))


@pytest.mark.parametrize("denoise", [1.0, 0.6])
def test_flux_sigmas_is_the_sampler_s_official_schedule(comfy_server, workflow, denoise):
    sampler = workflow.inputs("FluxDuetSampler")
    sampler.update(scheduler="official", denoise=denoise)
    samples = workflow.add(
        "SamplerCustomAdvanced",
        noise=workflow.add("RandomNoise", noise_seed=sampler["seed"]),
        guider=workflow.add("BasicGuider", model=sampler["model"], conditioning=sampler["positive"]),
        sampler=workflow.add("KSamplerSelect", sampler_name=sampler["sampler"]),
        sigmas=workflow.add(
            "FluxDuetSigmas", steps=sampler["steps"], latent=sampler["latent"], shift="dev", denoise=denoise
        ),
        latent_image=sampler["latent"],
    )
    custom = workflow.save(workflow.add("VAEDecode", samples=samples, vae=workflow.out("VAELoader")))
    simple = workflow.add_native_twin(scheduler="simple")
    result = comfy_server.run(workflow)
    ours = pixels(result, workflow.node("SaveImage"))
    assert numpy.array_equal(ours, pixels(result, custom))
    assert not numpy.array_equal(ours, pixels(result, simple))
