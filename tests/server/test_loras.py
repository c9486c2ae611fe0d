"""The LoRA nodes on the real server: the picture, what is shown, what is saved."""

import json

import numpy
import pytest
from safetensors.torch import load_file

from flux_duet.tests.server.test_probes import pixels

pytestmark = [pytest.mark.server, pytest.mark.slow]
LORA = "tiny_lora.safetensors"  # of the first two single blocks


def with_ours(workflow, **options):
    """Ours between the model and the sampler; returns its id."""
    sampler = workflow.inputs("FluxDuetSampler")
    parts = dict.fromkeys(("clip_encoder", "t5_encoder", "clip_stream", "t5_stream", "image", "joint"), 1.0)
    given = {"lora_name": LORA, "strength": 1.0, **parts, **options}
    sampler["model"] = workflow.add("FluxDuetLora", model=sampler["model"], **given)
    return sampler["model"][0]


def picture(comfy_server, workflow) -> numpy.ndarray:
    return pixels(comfy_server.run(workflow), workflow.node("SaveImage"))


def test_the_picture_is_lora_loaders(comfy_server, workflow):
    plain, native, ours, none, joint = (workflow.copy() for _ in range(5))
    sampler = native.inputs("FluxDuetSampler")
    sampler["model"] = native.add("LoraLoaderModelOnly", model=sampler["model"], strength_model=1.0, lora_name=LORA)
    with_ours(ours)
    with_ours(none, joint=0.0)
    with_ours(joint, clip_stream=0.0, t5_stream=0.0, image=0.0)
    pictures = [picture(comfy_server, each) for each in (plain, native, ours, none, joint)]
    assert not numpy.array_equal(pictures[0], pictures[1])
    assert numpy.array_equal(pictures[1], pictures[2])
    assert numpy.array_equal(pictures[0], pictures[3])
    assert numpy.array_equal(pictures[1], pictures[4])


def test_all_three_outputs(comfy_server, workflow):
    """Both encoders pass through, T5 as it is read when it is needed; what is saved is listed for LoRA loaders."""
    before = picture(comfy_server, workflow)
    clip, t5 = workflow.out("FluxDuetLoadClip"), workflow.out("FluxDuetLoadT5")
    node = with_ours(workflow, clip=clip, t5=t5, joint=0.5, save_as="kept/half")
    workflow.inputs("FluxDuetClipEncode")["clip"] = [node, 1]
    workflow.inputs("FluxDuetT5Encode")["clip"] = [node, 2]
    result = comfy_server.run(workflow)
    assert not numpy.array_equal(pixels(result, workflow.node("SaveImage")), before)
    (text,) = result.outputs[node]["text"]
    assert text == "Saved 6 tensors to loras/kept/half_00001_.safetensors"
    saved = load_file(comfy_server.base / "output" / "loras/kept/half_00001_.safetensors")
    assert {name.rsplit(".", 1)[1] for name in saved} == {"weight", "alpha"}
    blocked = workflow.copy()
    del blocked[node]["inputs"]["t5"]
    result = comfy_server.run(blocked, check=False)
    assert "`t5` is not connected" in json.dumps(result.error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blocks": "99, x"}, "Got 'x' in the list of blocks"),
        ({"save_as": "../x"}, "is not a valid name in output/loras"),
    ],
)
def test_wrong_inputs_are_refused_before_the_run(comfy_server, workflow, options, words):
    with_ours(workflow, **options)
    result = comfy_server.run(workflow, check=False)
    assert words in json.dumps(result.error, ensure_ascii=False)


def test_anatomy(comfy_server, workflow):
    model = workflow.out("UNETLoader")
    shown = workflow.add("FluxDuetLoraAnatomy", model=model, lora_name=LORA, compare_with=LORA)
    outputs = comfy_server.run(workflow).outputs[shown[0]]
    assert outputs["images"] and "The cosine similarity of the two changes is 1.00" in outputs["text"][0]
    assert f"{LORA} changes 2 of " in outputs["text"][0]


def grid(workflow, loras: str) -> str:
    """A grid of two pictures for each LoRA, in one step; returns its id."""
    nodes = {"model": "UNETLoader", "clip": "FluxDuetLoadClip", "t5": "FluxDuetLoadT5", "vae": "VAELoader"}
    given = {name: workflow.out(kind) for name, kind in nodes.items()}
    sampler = workflow.inputs("FluxDuetSampler")
    given |= {name: sampler[name] for name in ("latent", "sampler", "scheduler")}
    options = {"clip_prompts": "at night", "t5_prompts": "a star\na ring", "seed": 1, "seeds": 1, "steps": 1}
    return workflow.add("FluxDuetGrid", **given, **options, guidance=3.5, loras=loras)[0]


def test_a_grid_of_loras(comfy_server, workflow):
    shown = grid(workflow, f"none\n{LORA} 1")
    outputs = comfy_server.run(workflow).outputs[shown]
    (panel,) = outputs["flux_duet_grid"]
    assert panel["loras"] == ["without LoRA", f"{LORA} 1"] and len(panel["cells"]) == 4
    assert set(panel["shares"]) >= {"lora", "t5_lora"}


def test_a_grid_refuses_a_wrong_line_before_the_run(comfy_server, workflow):
    grid(workflow, "none\ntiny_lore.safetensors 1")
    result = comfy_server.run(workflow, check=False)
    assert f"there is no 'tiny_lore.safetensors' in models/loras. Near names: {LORA}" in json.dumps(result.node_errors)


RUN = {"seed": 1, "steps": 3, "sampler": "euler", "scheduler": "simple", "guidance": 3.5, "measured_steps": 2}


def measured(comfy_server, workflow, kind: str, lora: str, check: bool = True, **inputs):
    """(the result of a run with a node that samples with a LoRA, its id)."""
    links = {"model": "UNETLoader", "clip": "FluxDuetLoadClip", "t5": "FluxDuetLoadT5", "vae": "VAELoader"}
    latent = workflow.add("EmptySD3LatentImage", width=128, height=128, batch_size=1)
    given = {"lora_name": lora, "strength": 1.0, "clip_prompt": "at night", "latent": latent, **RUN, **inputs}
    node, _ = workflow.add(kind, **{name: workflow.out(loader) for name, loader in links.items()}, **given)
    return comfy_server.run(workflow, check=check), node


def test_influence(comfy_server, workflow):
    """A LoRA of the single blocks acts through these alone, and the picture beside it is the one without it."""
    before = picture(comfy_server, workflow)
    result, node = measured(comfy_server, workflow, "FluxDuetLoraInfluence", LORA, t5_prompt="a star")
    assert result.outputs[node]["images"]
    assert (
        f"The whole effect of {LORA} comes from the attention and MLP of the single blocks"
        in result.outputs[node]["text"][0]
    )
    assert numpy.array_equal(pixels(result, workflow.node("SaveImage")), before)


def test_trigger(comfy_server, workflow):
    """Eight pictures of the first seed, and two velocities more of another; a verdict."""
    given = {"t5_prompt": "snowy, a blue heart", "trigger": "snowy", "instead": "", "seeds": 2}
    result, node = measured(comfy_server, workflow, "FluxDuetTrigger", LORA, **given)
    assert result.outputs[node]["images"]
    (text,) = result.outputs[node]["text"]
    assert "'snowy'" in text and text.endswith("Cost: 9 runs of 3 steps, plus 36 model evaluations.")


@pytest.mark.parametrize(("kind", "inputs", "words"), [
    ("FluxDuetTrigger", {"trigger": " ", "instead": "", "seeds": 1}, "`trigger` is empty"),
    ("FluxDuetLoraInfluence", {"strength": 0.0}, "changes nothing in this model and its encoders")])  # fmt: skip
def test_what_measures_nothing_is_refused(comfy_server, workflow, kind, inputs, words):
    result, _ = measured(comfy_server, workflow, kind, LORA, check=False, t5_prompt="a star", **inputs)
    assert words in json.dumps(result.error, ensure_ascii=False)
