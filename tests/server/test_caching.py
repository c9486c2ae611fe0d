"""After an edit only the nodes that it affects run again, by ComfyUI's own cache."""

import pytest

# The nodes that a new prompt affects, CLIP's or T5's.
AFTER = {"FluxDuetDualPrompt", "FluxDuetSampler", "FluxDuetDecode", "SaveImage"}


@pytest.fixture
def ran_before(comfy_server, workflow):
    comfy_server.run(workflow)
    return workflow


def kinds(workflow, nodes) -> set[str]:
    return {workflow[node]["class_type"] for node in nodes}


@pytest.mark.parametrize(
    "encoder, other", [("FluxDuetClipEncode", "FluxDuetT5Encode"), ("FluxDuetT5Encode", "FluxDuetClipEncode")]
)
def test_an_edited_prompt_runs_its_own_encoder_alone(comfy_server, ran_before, encoder, other):
    edited = ran_before.copy()
    edited.inputs(encoder)["text"] += ", edited"
    result = comfy_server.run(edited)
    assert kinds(edited, result.executed) == AFTER | {encoder}
    assert kinds(edited, result.cached) == {node["class_type"] for node in edited.values()} - AFTER - {encoder}
    assert other in kinds(edited, result.cached)


def test_guidance_runs_no_encoder(comfy_server, ran_before):
    ran_before.inputs("FluxDuetDualPrompt")["guidance"] += 1.0
    assert kinds(ran_before, comfy_server.run(ran_before).executed) == AFTER


def test_a_seed_runs_no_encoder_and_no_dual_prompt(comfy_server, ran_before):
    ran_before.inputs("FluxDuetSampler")["seed"] += 1
    assert kinds(ran_before, comfy_server.run(ran_before).executed) == AFTER - {"FluxDuetDualPrompt"}


def test_the_same_prompt_again_runs_nothing(comfy_server, ran_before):
    result = comfy_server.run(ran_before)
    assert result.executed == []
    assert sorted(result.cached) == sorted(ran_before)


def test_new_node_ids_run_nothing(comfy_server, ran_before):
    """Shared by copy and paste, a graph gets other ids; its results do not depend on them."""
    renumbered = {str(int(node) + 100): data for node, data in ran_before.copy().items()}
    for data in renumbered.values():
        data["inputs"] = {
            name: [str(int(value[0]) + 100), value[1]] if isinstance(value, list) else value
            for name, value in data["inputs"].items()
        }
    result = comfy_server.run(renumbered)
    assert result.executed == []
    assert sorted(result.cached) == sorted(renumbered)
