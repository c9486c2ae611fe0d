"""Prompt Grid's panel: the sheet, an enlarged cell, copying its prompts to the encoders, and the variance chart."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from flux_duet.tests.browser.shipped import WORKFLOWS, shipped

KIND = "FluxDuetGrid"
NODE = f"app.graph.nodes.find(node => node.comfyClass === '{KIND}')"
GRID = f"() => app.nodeOutputs[{NODE}.id].flux_duet_grid[0]"
ADD = """kinds => {
    const ids = kinds.map((kind, at) => {
        const node = LiteGraph.createNode(kind);
        node.pos = [-400, 300 * at];
        app.graph.add(node);
        return node.id;
    });
    app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
    return ids;
}"""
ENCODERS = ["FluxDuetClipEncode", "FluxDuetT5Encode"]


@pytest.fixture
def shown(front):
    """The shipped workflow in two steps, run, its panel in view."""
    front.load(shipped("prompt_grid"))
    front.page.evaluate(f"() => {{ {NODE}.widgets.find(widget => widget.name === 'steps').value = 2; }}")
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    in_view(front)
    yield front
    assert front.errors == []


def in_view(front) -> None:
    front.page.evaluate(f"() => {{ app.canvas.deselectAll(); app.canvas.selectNode({NODE}); }}")
    front.fit()
    front.page.locator(".cell").first.wait_for()
    front.still()


def texts(front, ids) -> list[str]:
    return front.page.evaluate(
        """ids => ids.map(id => app.graph.getNodeById(id).widgets
        .find(widget => widget.name === 'text').value)""",
        ids,
    )


def use(front, cell: int) -> str:
    """Presses a cell's button; returns its text afterwards."""
    front.page.locator(".cell").nth(cell).evaluate("cell => cell.click()")
    front.page.get_by_role("button", name="Use this cell").click()
    front.page.wait_for_function("said => said.textContent", arg=front.page.locator(".one span").element_handle())
    return front.page.locator(".one span").inner_text()


def test_the_sheet_has_every_pair_for_each_seed(shown):
    grid = shown.page.evaluate(GRID)
    assert len(json.dumps(grid)) < 6000
    assert shown.page.locator(".cell").count() == len(grid["clip"]) * len(grid["t5"])
    assert len(grid["cells"]) == shown.page.locator(".cell").count() * len(grid["seeds"])
    assert shown.page.locator(".cell").nth(1).get_attribute("title") == f"CLIP: {grid['clip'][0]}. T5: {grid['t5'][1]}"
    first = shown.page.locator(".cell img").first.get_attribute("src")
    assert grid["cells"][0]["filename"] in first
    shown.page.get_by_label("Seed", exact=True).select_option(index=1)
    cells = len(grid["clip"]) * len(grid["t5"])
    assert grid["cells"][cells]["filename"] in shown.page.locator(".cell img").first.get_attribute("src")


def test_keys_walk_the_sheet_and_escape_leaves_a_cell(shown):
    shown.page.locator(".cell").first.focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("Enter")
    grid = shown.page.evaluate(GRID)
    assert shown.page.locator(".one p").all_inner_texts() == [f"CLIP {grid['clip'][1]}", f"T5 {grid['t5'][1]}"]
    shown.page.keyboard.press("Escape")
    assert not shown.page.locator(".one").is_visible()
    assert shown.page.evaluate(f"() => Boolean({NODE})")


def test_a_cell_s_prompts_go_into_the_one_pair_in_one_step_of_undo(shown):
    grid = shown.page.evaluate(GRID)
    ids = shown.page.evaluate(ADD, ENCODERS)
    in_view(shown)
    before = texts(shown, ids)
    assert use(shown, 1) == "The prompts are now in: CLIP-L Encode, T5 Encode."
    assert texts(shown, ids) == [grid["clip"][0], grid["t5"][1]] != before
    exported = shown.to_api()
    assert [exported[str(node)]["inputs"]["text"] for node in ids if str(node) in exported] in ([], texts(shown, ids))
    shown.page.keyboard.press("Control+z")
    shown.page.wait_for_function(
        """([ids, before]) => ids.every((id, at) => app.graph.getNodeById(id)?.widgets
        .find(widget => widget.name === 'text').value === before[at])""",
        arg=[ids, before],
    )


def test_with_more_than_a_pair_the_selected_one_is_meant_else_the_prompts_are_copied(shown):
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    grid = shown.page.evaluate(GRID)
    message = use(shown, 0)
    assert message.startswith("This graph has no CLIP-L Encode and no T5 Encode node. Both prompts are copied")
    assert shown.page.evaluate("navigator.clipboard.readText()") == f"CLIP: {grid['clip'][0]}\nT5: {grid['t5'][0]}"
    ids = shown.page.evaluate(ADD, [*ENCODERS, "FluxDuetT5Encode"])
    in_view(shown)
    before = texts(shown, ids)
    assert "1 CLIP-L Encode and 2 T5 Encode nodes. Select one of each" in use(shown, 0)
    assert texts(shown, ids) == before
    shown.page.evaluate("ids => app.canvas.selectItems([ids[0], ids[2]].map(id => app.graph.getNodeById(id)))", ids)
    assert use(shown, 2) == "The prompts are now in: CLIP-L Encode, T5 Encode."
    assert texts(shown, ids) == [grid["clip"][0], before[1], grid["t5"][2]]


def test_the_bar_tells_each_part_with_its_interval(shown):
    grid = shown.page.evaluate(GRID)
    parts = shown.page.locator(".variance button")
    assert parts.count() == 5
    widths = parts.evaluate_all("all => all.map(part => part.getBoundingClientRect().width)")
    shares = [grid["shares"][name] for name in ("clip", "t5", "both", "seed", "rest")]
    assert max(range(5), key=widths.__getitem__) == max(range(5), key=shares.__getitem__)
    parts.first.hover()
    assert shown.page.locator(".parts").inner_text().startswith("CLIP ")
    assert "95 % interval" in shown.page.locator(".parts").inner_text()
    assert grid["drawn_over"] in parts.first.get_attribute("title")
    shown.page.locator(".finding").hover()
    assert shown.page.locator(".parts").inner_text().count("%") == 5


# ---- LoRAs


@pytest.fixture
def with_loras(front, comfy_server):
    """The shipped workflow with two LoRAs and without, run in two steps, its panel in view."""
    folder = comfy_server.base / "output" / "loras"  # which ComfyUI lists too
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("warm", "cold")):
        save_file(random_lora(number), folder / f"{name}.safetensors")
    front.load(shipped("prompt_grid"))
    lines = "none\nwarm.safetensors 0.8\ncold.safetensors: -0.5"
    front.page.evaluate(
        f"""lines => {{
            const set = (name, value) => {{ {NODE}.widgets.find(widget => widget.name === name).value = value; }};
            set("steps", 2);
            set("loras", lines);
        }}""",
        lines,
    )
    kind, detail = front.queue()
    assert kind == "execution_success", detail
    in_view(front)
    yield front
    assert front.errors == []


def random_lora(seed: int) -> dict[str, torch.Tensor]:
    """Of the nano model's single blocks."""
    random, found = torch.Generator().manual_seed(seed), {}
    (model,) = (WORKFLOWS / "models" / "diffusion_models").glob("nano_flux*.safetensors")
    with safe_open(model, "pt") as file:
        for name in file.keys():
            if "single_blocks" in name and name.endswith(("linear1.weight", "linear2.weight")):
                rows, columns = file.get_slice(name).get_shape()
                layer = f"diffusion_model.{name.removeprefix('model.diffusion_model.').removesuffix('.weight')}"
                found[f"{layer}.lora_A.weight"] = torch.randn(4, columns, generator=random) / 8
                found[f"{layer}.lora_B.weight"] = torch.randn(rows, 4, generator=random) / 8
    return found


def test_each_lora_has_a_sheet_and_the_bar_its_share(with_loras):
    page = with_loras.page
    grid = page.evaluate(GRID)
    assert grid["loras"] == ["without LoRA", "warm.safetensors 0.8", "cold.safetensors -0.5"]
    cells = len(grid["clip"]) * len(grid["t5"])
    assert len(grid["cells"]) == cells * len(grid["seeds"]) * 3 and page.locator(".cell").count() == cells

    def first() -> str:
        return page.locator(".cell img").first.get_attribute("src")

    page.get_by_label("Seed", exact=True).select_option(index=1)
    page.get_by_label("LoRA", exact=True).select_option(index=2)
    assert grid["cells"][(2 * len(grid["seeds"]) + 1) * cells]["filename"] in first()
    page.locator(".cell").nth(1).evaluate("cell => cell.click()")
    assert page.locator(".one p").last.inner_text() == "LoRA cold.safetensors -0.5"
    page.keyboard.press("Escape")
    assert page.locator(".variance button").count() == 9
    page.locator(".variance button").nth(2).hover()
    assert page.locator(".parts").inner_text().startswith("the LoRA ")


def test_without_loras_there_is_no_choice_of_one(shown):
    assert not shown.page.get_by_label("LoRA", exact=True).is_visible()
    assert shown.page.get_by_label("Seed", exact=True).is_visible()
