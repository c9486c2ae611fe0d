"""The templates' files: each is there, opens readable, has no wire that runs back and nothing over anything."""

import json

import pytest
from PIL import Image

from flux_duet.devtools import ROOT
from flux_duet.devtools.templates import NAMES, TEMPLATES
from flux_duet.devtools.templates.folding import folded
from flux_duet.devtools.templates.layout import READABLE, TITLE, extent, placed, scale
from flux_duet.devtools.templates.parts import NOTE, Node, Note, Template, column
from flux_duet.devtools.templates.thumbnails import RECIPES

WORKFLOWS = ROOT / "workflows"
SLUGS = sorted(NAMES)
COLLAPSED = 225  # the width of a collapsed Vue node


@pytest.fixture(params=SLUGS)
def workflow(request) -> dict:
    return json.loads((WORKFLOWS / f"{NAMES[request.param]}.json").read_text(encoding="utf-8"))


def boxes(workflow: dict) -> dict[int, tuple[float, float, float, float]]:
    """Each node's left, top, right and bottom, with its title bar."""
    found = {}
    for node in workflow["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        if node["flags"].get("collapsed"):
            width, height = COLLAPSED, 0
        found[node["id"]] = (x, y - TITLE, x + width, y + height)
    return found


def test_each_has_its_files():
    assert {path.stem for path in (WORKFLOWS / "api").glob("*.json")} >= set(SLUGS)
    for slug, name in NAMES.items():
        assert Image.open(WORKFLOWS / f"{name}.jpg").size == (440, 440), slug
    assert set(RECIPES) == set(SLUGS)


def test_each_is_in_the_docs():
    page = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    for slug, name in NAMES.items():
        title = name[3:].split(",")[0]
        (line,) = [line for line in page.splitlines() if f"**{title}" in line]
        assert line.endswith(f"`{slug}` |")


def test_the_first_says_so():
    assert TEMPLATES[0].slug == "dual_prompt" and "start here" in TEMPLATES[0].name
    assert [int(template.name[:2]) for template in TEMPLATES] == sorted({int(each.name[:2]) for each in TEMPLATES})


def test_no_wire_runs_back(workflow):
    found = boxes(workflow)
    back = [link for link in workflow["links"] if found[link[1]][2] > found[link[3]][0]]
    assert workflow["links"] and back == []


def test_nothing_lies_over_anything(workflow):
    found = list(boxes(workflow).values())
    for number, (left, top, right, bottom) in enumerate(found):
        for other in found[:number]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


def test_it_opens_with_its_text_readable(workflow):
    found = list(boxes(workflow).values())
    left, top = (min(box[side] for box in found) for side in (0, 1))
    right, bottom = (max(box[side] for box in found) for side in (2, 3))
    assert scale({"whole": (0, 0, right - left, bottom - top - TITLE)}) >= READABLE


def test_columns_and_a_note_below():
    nodes = [Node(key, "N") for key in "abc"]
    template = Template("s", "S", (column(100, *nodes[:2]), column(200, nodes[2])), Note("text", 0, 1))
    found = placed(template, {"a": (50, 40), "b": (150, 60), "c": (10, 20), NOTE: (0, 30)})
    assert found["a"] == (0, 0, 150, 40) and found["b"][1] == 40 + 20 + TITLE
    assert found["c"][:3] == (150 + 28, 0, 200)
    assert found[NOTE] == (0, found["b"][1] + 60 + 20 + TITLE, 378, 30)
    assert extent(found) == (378, found[NOTE][1] + 30 + TITLE)


def test_a_folded_graph_keeps_its_links_and_gets_the_outer_ones():
    inputs = [{"name": "model", "type": "MODEL", "link": None}, {"name": "seed", "type": "INT", "link": None}]
    outputs = [{"name": "out", "type": "LATENT", "links": [7]}]
    nodes = [
        {"id": 1, "pos": [0, 0], "size": [10, 10], "inputs": inputs, "outputs": outputs},
        {"id": 2, "pos": [20, 0], "size": [10, 10], "inputs": [], "outputs": [{"name": "x", "type": "IMAGE"}]},
    ]
    graph = {"nodes": nodes, "links": [[7, 1, 0, 2, 0, "LATENT"]]}
    made = folded("F", graph, [(1, "model", "model"), (1, "seed", "my seed")], [(2, 0, "IMAGE")])
    ends = [(link["origin_id"], link["origin_slot"], link["target_id"], link["target_slot"]) for link in made["links"]]
    assert ends == [(1, 0, 2, 0), (-10, 0, 1, 0), (-10, 1, 1, 1), (2, 0, -20, 0)]
    assert [(each["name"], each["type"], each["linkIds"]) for each in made["inputs"]] == [
        ("model", "MODEL", [8]),
        ("my seed", "INT", [9]),
    ]
    assert made["outputs"][0]["linkIds"] == [10] and made["nodes"][0]["inputs"][1]["link"] == 9


def test_two_inner_inputs_are_one_outside():
    nodes = [
        {"id": number, "pos": [0, 0], "size": [9, 9], "inputs": [{"name": "vae", "type": "VAE"}], "outputs": []}
        for number in (1, 2)
    ]
    made = folded("F", {"nodes": nodes, "links": []}, [(1, "vae", "vae"), (2, "vae", "vae")], [])
    assert [each["linkIds"] for each in made["inputs"]] == [[1, 2]]
    assert [(link["origin_slot"], link["target_id"]) for link in made["links"]] == [(0, 1), (0, 2)]
