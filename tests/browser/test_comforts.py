"""Small comforts: past runs to flip through, a cell's prompts as negative ones, a word dragged onto a mask input."""

FLIP = """async () => {
    const { history } = await import("/extensions/flux-duet/lib/history.mjs");
    const seen = [], { root, add } = history(output => seen.push(output.run));
    const [earlier, told, later] = root.children, said = [];
    const look = () => said.push([root.hidden, earlier.disabled, told.textContent, later.disabled]);
    for (const run of [1, 1, 2, 3]) add({ run });
    look();
    earlier.click();
    look();
    earlier.click();
    look();
    for (let run = 4; run < 20; run++) add({ run });
    for (let press = 0; press < 30; press++) earlier.click();
    look();
    return [seen.slice(0, 6), said, seen.at(-1)];
}"""


def test_the_last_runs_can_be_flipped_through(front):
    seen, said, oldest = front.page.evaluate(FLIP)
    assert seen == [1, 1, 2, 3, 2, 1] and oldest == 12
    assert said == [
        [False, False, "latest run", True],
        [False, False, "run 2 of 3", False],
        [False, True, "run 1 of 3", False],
        [False, True, "run 1 of 8", False],
    ]
    assert front.errors == []


NEGATIVE = """async () => {
    const { useAsNegative } = await import("/extensions/flux-duet/grid/use.mjs");
    const add = type => { const node = LiteGraph.createNode(type); app.graph.add(node); return node; };
    const grid = add("FluxDuetGrid"), prompts = { clip: "a look", t5: "a thing" };
    const none = useAsNegative(grid, prompts);
    const kinds = ["FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetClipEncode", "FluxDuetT5Encode"];
    const [clip, t5, other, wanted] = kinds.map(add);
    const [push, nag] = ["FluxDuetClipNegative", "FluxDuetNag"].map(add);
    clip.connect(0, push, "negative");
    t5.connect(0, nag, "negative");
    other.connect(0, push, "vec");
    wanted.connect(0, nag, "txt");
    const said = useAsNegative(grid, prompts), text = node => node.widgets.find(({ name }) => name === "text").value;
    return [none, said, [clip, t5, other, wanted].map(text)];
}"""


def test_a_cell_s_prompts_are_used_as_negative_ones(front):
    none, said, texts = front.page.evaluate(NEGATIVE)
    assert "No encode node leads to a `negative` input" in none
    assert said == "The prompts are now in: CLIP-L Encode, T5 Encode."
    assert texts == ["a look", "a thing", "", ""]
    assert front.errors == []


DRAG = """async () => {
    const { dragWord } = await import("/extensions/flux-duet/heatmap/drag.mjs");
    const add = (type, x) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, 100];
        app.graph.add(node);
        return node;
    };
    const shown = add("FluxDuetHeatmapShow", 900), region = add("FluxDuetRegion", 300);
    Object.assign(app.canvas.ds, { scale: 1, offset: [0, 0] });
    app.canvas.draw(true, true);
    const button = document.createElement("button"), slot = region.inputs.findIndex(({ type }) => type === "MASK");
    let clicks = 0;
    const host = document.createElement("div"), list = host.attachShadow({ mode: "open" });
    document.body.append(host);
    list.append(button);
    dragWord(button, "fox", shown);
    button.addEventListener("click", () => clicks++);
    button.setPointerCapture = () => {};
    const { left, top } = app.canvas.canvas.getBoundingClientRect(), [x, y] = region.getConnectionPos(true, slot);
    const send = (kind, x, y) => button.dispatchEvent(new PointerEvent(kind, { clientX: left + x, clientY: top + y }));
    send("pointerdown", 950, 200);
    send("pointermove", 700, 200);
    const ghosts = [...list.querySelectorAll("div")].filter(each => each.textContent === "fox").length;
    send("pointerup", x + 20, y);
    button.click();
    button.click();
    host.remove();
    const from = region.getInputNode(slot), link = region.getInputLink(slot);
    return [ghosts, clicks, from === shown, from?.outputs[link.origin_slot].type,
        shown.widgets.find(({ name }) => name === "word").value];
}"""


def test_a_word_is_dragged_onto_a_mask_input(front):
    assert front.page.evaluate(DRAG) == [1, 1, True, "MASK", "fox"]
    assert front.errors == []
