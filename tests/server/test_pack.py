"""What a user has after installing the pack: the nodes, their help, models, and a workflow to start with."""

from urllib.parse import quote

import pytest

from flux_duet.devtools.templates import NAMES
from flux_duet.nano.layouts import FILES

# Shared workflows use these ids: none may be removed.
NODES = [
    "FluxDuetLoadClip",
    "FluxDuetLoadT5",
    "FluxDuetLora",
    "FluxDuetClipEncode",
    "FluxDuetT5Encode",
    "FluxDuetInspect",
    "FluxDuetSaveStream",
    "FluxDuetLoadStream",
    "FluxDuetStore",
    "FluxDuetDualPrompt",
    "FluxDuetSplit",
    "FluxDuetBlendVec",
    "FluxDuetBlendTxt",
    "FluxDuetClipNegative",
    "FluxDuetSchedule",
    "FluxDuetScheduleText",
    "FluxDuetPromptAt",
    "FluxDuetOnly",
    "FluxDuetRegion",
    "FluxDuetRoute",
    "FluxDuetNag",
    "FluxDuetSampler",
    "FluxDuetApply",
    "FluxDuetTable",
    "FluxDuetSigmas",
    "FluxDuetDecode",
    "FluxDuetHeatmap",
    "FluxDuetConcepts",
    "FluxDuetHeatmapShow",
    "FluxDuetPictureHeatmap",
    "FluxDuetInfluence",
    "FluxDuetInfluenceShow",
    "FluxDuetWords",
    "FluxDuetSweep",
    "FluxDuetSweepPart",
    "FluxDuetGrid",
    "FluxDuetCell",
    "FluxDuetStudy",
    "FluxDuetRay",
    "FluxDuetLoraAnatomy",
    "FluxDuetLoraInfluence",
    "FluxDuetTrigger",
    "FluxDuetShape",
    "FluxDuetCaptions",
]
FAILURES = ["IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint", "Traceback"]
LOADERS = [
    ("UNETLoader", "unet_name", "flux"),
    ("VAELoader", "vae_name", "ae"),
    ("DualCLIPLoader", "clip_name1", "clip_l"),
    ("DualCLIPLoader", "clip_name2", "t5xxl"),
    ("FluxDuetLoadClip", "clip_name", "clip_l"),
    ("FluxDuetLoadT5", "t5_name", "t5xxl"),
]


@pytest.fixture(scope="module")
def described(nano_server) -> dict:
    return nano_server.get("/object_info")


def folder_of(described: dict) -> str:
    """The folder from which the front end loads help pages, by the nodes' module."""
    (module,) = {described[node]["python_module"] for node in NODES}
    return module.removeprefix("custom_nodes.")


def options(described: dict, node: str, name: str) -> list[str]:
    """The options of a dropdown: first in its spec for older nodes, under "options" for newer ones."""
    kind, *spec = described[node]["input"]["required"][name]
    return kind if isinstance(kind, list) else spec[0]["options"]


def test_every_node_is_there_and_no_other(described):
    ours = [name for name, node in described.items() if node["category"].startswith("Flux Duet/")]
    assert sorted(ours) == sorted(NODES)


def test_the_server_starts_without_a_complaint(nano_server):
    begun, started, _ = nano_server.log().partition("Starting server")
    assert started and "Import times for custom nodes" in begun
    assert [line for line in begun.splitlines() if any(sign in line for sign in FAILURES)] == []


@pytest.mark.parametrize("node", NODES)
def test_every_socket_and_widget_has_a_tooltip(described, node):
    inputs = {**described[node]["input"]["required"], **described[node]["input"].get("optional", {})}
    assert [name for name, (_, *spec) in inputs.items() if not (spec and spec[0].get("tooltip"))] == []
    assert all(described[node]["output_tooltips"])
    assert described[node]["description"]


@pytest.mark.parametrize("node", NODES)
def test_every_node_has_help(nano_server, described, node):
    page = nano_server.get(f"/extensions/{folder_of(described)}/docs/{node}.md").decode()
    assert page.startswith(f"# {described[node]['display_name']}\n")


@pytest.mark.parametrize("node, name, part", LOADERS, ids=lambda value: value)
def test_the_nano_models_stand_in_the_dropdowns(described, node, name, part):
    assert FILES[part].split("/")[1] in options(described, node, name)


def test_the_workflow_is_offered_as_a_template(nano_server, described):
    folder = folder_of(described)
    name = NAMES["dual_prompt"]
    assert name in nano_server.get("/api/workflow_templates")[folder]
    opened = nano_server.get(f"/api/workflow_templates/{folder}/{quote(name)}.json")
    assert {"FluxDuetClipEncode", "FluxDuetT5Encode"} <= {node["type"] for node in opened["nodes"]}
