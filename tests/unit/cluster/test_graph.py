"""A running workflow, cut to what a cell needs."""

import pytest

from flux_duet.nodes.cluster import graph
from flux_duet.nodes.probe.sweep.on_workers import cut_into_parts


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


PROMPT = {
    "1": node("DualCLIPLoader", clip_name1="l.safetensors", clip_name2="t5.safetensors"),
    "2": node("UNETLoader", unet_name="flux.safetensors"),
    "3": node("LoraLoader", model=["2", 0], clip=["1", 0], lora_name="x.safetensors", strength_model=0.8,
              strength_clip=1.0),
    "4": node("EmptySD3LatentImage", width=64, height=64),
    "5": node("CLIPTextEncode", clip=["3", 1], text="a star"),
    "6": node("FluxDuetGrid", model=["3", 0], clip=["3", 1], latent=["4", 0], like=["5", 0]),
}  # fmt: skip


def test_a_model_alone_needs_no_text_encoder():
    links = [graph.source(PROMPT, "6", name, "x") for name in ("model", "latent")]
    nodes = graph.cut(PROMPT, links)
    assert set(nodes) == {"2", "3", "4"} and nodes["3"] == {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"model": ["2", 0], "lora_name": "x.safetensors", "strength_model": 0.8},
    }
    assert graph.kinds(nodes) == ["EmptySD3LatentImage", "LoraLoaderModelOnly", "UNETLoader"]
    assert graph.texts(nodes) == ["flux.safetensors", "x.safetensors"]


def test_a_lora_whose_clip_is_used_too_stays_as_it_is():
    nodes = graph.cut(PROMPT, [graph.source(PROMPT, "6", name, "x") for name in ("model", "like")])
    assert set(nodes) == {"1", "2", "3", "5"} and nodes["3"]["inputs"]["clip"] == ["1", 0]
    assert PROMPT["3"]["class_type"] == "LoraLoader", "the running workflow is not changed"


def test_a_node_that_the_workflow_does_not_show_is_reported():
    assert graph.source(PROMPT, "6", "vae", "x") is None
    with pytest.raises(ValueError, match="another node creates during the run"):
        graph.source(PROMPT, "6.0.0.1", "model", "Prompt Grid")


def test_parts_of_a_sweep_hold_every_switch_once_and_cost_alike():
    wanted = [*range(0, 20, 1), 20]
    for count in (1, 2, 4, 8, 50):
        parts = cut_into_parts(wanted, 20, count)
        assert sum(parts, []) == wanted and len(parts) <= count
    costs = [sum(21 - step for step in part) for part in cut_into_parts(wanted, 20, 4)]
    assert max(costs) < 2 * min(costs)
