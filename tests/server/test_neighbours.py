"""Native nodes before and after ours change MMDiT Sampler's picture exactly as KSampler's, pixel for pixel."""

import numpy
import pytest


def picture_to_start_from(workflow):
    image = workflow.add("LoadImage", image="half.png")
    return image, workflow.add("VAEEncode", pixels=image, vae=workflow.out("VAELoader"))


def guidance(workflow, sampler):
    sampler["positive"] = workflow.add("FluxGuidance", conditioning=sampler["positive"], guidance=8.0)


def second_prompt(workflow):
    text = workflow.add("FluxDuetT5Encode", clip=workflow.out("FluxDuetLoadT5"), text="a blue square", length="ComfyUI")
    return workflow.add("FluxDuetDualPrompt", vec=workflow.out("FluxDuetClipEncode"), txt=text, guidance=3.5)


def combine(workflow, sampler):
    sampler["positive"] = workflow.add(
        "ConditioningCombine", conditioning_1=sampler["positive"], conditioning_2=second_prompt(workflow)
    )


def timestep_ranges(workflow, sampler):
    parts = (sampler["positive"], 0.0, 0.5), (second_prompt(workflow), 0.5, 1.0)
    first, last = (
        workflow.add("ConditioningSetTimestepRange", conditioning=conditioning, start=start, end=end)
        for conditioning, start, end in parts
    )
    sampler["positive"] = workflow.add("ConditioningCombine", conditioning_1=first, conditioning_2=last)


def negative(workflow, sampler):
    sampler.update(negative=second_prompt(workflow), cfg=3.0)


def lora(workflow, sampler):
    sampler["model"] = workflow.add(
        "LoraLoaderModelOnly", model=sampler["model"], strength_model=1.0, lora_name="tiny_lora.safetensors"
    )


def model_sampling(workflow, sampler):
    sampler["model"] = workflow.add(
        "ModelSamplingFlux", model=sampler["model"], max_shift=1.15, base_shift=0.5, width=128, height=128
    )


def easy_cache(workflow, sampler):
    sampler["steps"] = 8
    sampler["model"] = workflow.add(
        "EasyCache", model=sampler["model"], reuse_threshold=3.0, start_percent=0.15, end_percent=0.95, verbose=False
    )


def reference(workflow, sampler):
    _, latent = picture_to_start_from(workflow)
    sampler["positive"] = workflow.add("ReferenceLatent", conditioning=sampler["positive"], latent=latent)


def image_to_image(workflow, sampler):
    _, latent = picture_to_start_from(workflow)
    sampler.update(latent=latent, denoise=0.5)


def inpainting(workflow, sampler):
    image, latent = picture_to_start_from(workflow)
    mask = [image[0], 1]
    sampler.update(latent=workflow.add("SetLatentNoiseMask", samples=latent, mask=mask), denoise=0.8)


def batch(workflow, sampler):
    sampler["latent"] = workflow.add("RepeatLatentBatch", samples=sampler["latent"], amount=3)


def second_of_batch(workflow, sampler):
    batch(workflow, sampler)
    sampler["latent"] = workflow.add("LatentFromBatch", samples=sampler["latent"], batch_index=1, length=1)


# EasyCache comes first: it reads the model's sigmas before ComfyUI has put back what ModelSamplingFlux changed in them.
NEIGHBOURS = [
    easy_cache,
    guidance,
    combine,
    timestep_ranges,
    negative,
    lora,
    model_sampling,
    reference,
    image_to_image,
    inpainting,
    batch,
    second_of_batch,
]


def pixels(result, node: str) -> numpy.ndarray:
    """[N, H, W, 3], as numbers that can be subtracted."""
    return numpy.stack([numpy.asarray(image) for image in result.images(node)]).astype(int)


@pytest.fixture(scope="module")
def plain(comfy_server):
    """The picture without any other native node, for each number of steps."""
    made = {}

    def of(workflow, steps):
        if steps not in made:
            workflow.inputs("FluxDuetSampler")["steps"] = steps
            made[steps] = pixels(comfy_server.run(workflow), workflow.node("SaveImage"))
        return made[steps]

    return of


@pytest.mark.parametrize("place", NEIGHBOURS, ids=lambda place: place.__name__)
def test_it_acts_as_on_ksampler(comfy_server, workflow, plain, place):
    untouched, sampler = workflow.copy(), workflow.inputs("FluxDuetSampler")
    place(workflow, sampler)
    native = workflow.add_native_twin()
    result = comfy_server.run(workflow)
    ours = pixels(result, workflow.node("SaveImage"))
    assert numpy.array_equal(ours, pixels(result, native))
    assert not numpy.array_equal(ours, plain(untouched, sampler["steps"]))


def test_a_batch_draws_new_noise_for_each_picture(comfy_server, workflow):
    alone = workflow.copy()
    batch(workflow, workflow.inputs("FluxDuetSampler"))
    second_of_batch(alone, alone.inputs("FluxDuetSampler"))
    pictures, second = (pixels(comfy_server.run(each), each.node("SaveImage")) for each in (workflow, alone))
    assert len(pictures) == 3 and len({picture.tobytes() for picture in pictures}) == 3
    # A batch is multiplied in another order, so the last bit before rounding may differ.
    assert abs(pictures[1] - second[0]).max() <= 1
