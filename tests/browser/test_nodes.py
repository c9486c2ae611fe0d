"""The nodes in the real front end: sockets, defaults and help."""

# Shared workflows contain the ids and socket names: neither may change.
SOCKETS = {
    "FluxDuetLoadClip": ("Load CLIP-L", [], ["CLIP"]),
    "FluxDuetLoadT5": ("Load T5", [], ["CLIP"]),
    "FluxDuetClipEncode": ("CLIP-L Encode", ["clip CLIP"], ["vec FLUX_VEC"]),
    "FluxDuetT5Encode": ("T5 Encode", ["clip CLIP"], ["txt FLUX_TXT"]),
    "FluxDuetInspect": ("Prompt Inspector", ["clip CLIP"], ["picture IMAGE", "summary STRING", "json STRING"]),
    "FluxDuetSaveStream": ("Save Embedding", ["vec FLUX_VEC", "txt FLUX_TXT"], []),
    "FluxDuetLoadStream": ("Load Embedding", [], ["vec FLUX_VEC", "txt FLUX_TXT", "about STRING"]),
    "FluxDuetStore": ("Embedding Store", [], ["report STRING"]),
    "FluxDuetDualPrompt": ("Dual Prompt", ["vec FLUX_VEC", "txt FLUX_TXT"], ["CONDITIONING"]),
    "FluxDuetSplit": (
        "Split Conditioning",
        ["conditioning CONDITIONING"],
        ["vec FLUX_VEC", "txt FLUX_TXT", "guidance FLOAT"],
    ),
    "FluxDuetSampler": (
        "MMDiT Sampler",
        ["model MODEL", "positive CONDITIONING", "latent LATENT", "negative CONDITIONING"],
        ["LATENT"],
    ),
    "FluxDuetApply": ("Apply Duet", ["model MODEL"], ["MODEL"]),
    "FluxDuetTable": ("Modulation Table", ["model MODEL"], ["MODEL"]),
    "FluxDuetSigmas": ("Flux Sigmas", ["latent LATENT"], ["SIGMAS"]),
    "FluxDuetDecode": ("VAE Decode (Duet)", ["vae VAE", "samples LATENT"], ["IMAGE"]),
}
ADD = """type => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    const name = slot => slot.name === slot.type ? slot.name : `${slot.name} ${slot.type}`;
    return {
        title: node.title,
        inputs: node.inputs.filter(slot => !slot.widget).map(name),
        outputs: node.outputs.map(name),
        widgets: Object.fromEntries((node.widgets ?? []).filter(widget => widget.serialize !== false)
            .map(widget => [widget.name, widget.value])),
    };
}"""


def defaults(described: dict) -> dict:
    """What each widget shows on a new node: the default, or a dropdown's first choice."""
    shown = {}
    for name, (kind, *rest) in {**described["required"], **described.get("optional", {})}.items():
        spec = rest[0] if rest else {}
        if kind in ("INT", "FLOAT", "BOOLEAN", "STRING"):
            shown[name] = spec.get("default", "")
        elif kind == "COMBO":
            shown[name] = spec.get("default") or next(iter(spec["options"]), None)
    return shown


def test_a_new_node_has_its_title_sockets_and_defaults(front):
    described = front.server.get("/object_info")
    for node, (title, inputs, outputs) in SOCKETS.items():
        added = front.page.evaluate(ADD, node)
        assert (added["title"], added["inputs"], added["outputs"]) == (title, inputs, outputs)
        control = added["widgets"].pop("control_after_generate", None)
        assert control == ("randomize" if node == "FluxDuetSampler" else None)
        assert added["widgets"] == defaults(described[node]["input"]), node
    assert front.errors == []


def test_help_opens_beside_the_graph(front):
    node = "FluxDuetDualPrompt"
    front.page.evaluate(f"""type => {{ ({ADD})(type); app.canvas.selectNode(app.graph.nodes[0]); }}""", node)
    front.fit()
    # Clicked by script: overlays may lie over the toolbox.
    front.page.get_by_test_id("info-button").evaluate("button => button.click()")
    page = front.server.get(f"/extensions/flux-duet/docs/{node}.md").decode()
    plain = [each for each in page.strip().split("\n\n") if not set("#|!*`[") & set(each)]
    last = plain[-1]  # the first one is in the node's description as well
    front.page.get_by_text(last).wait_for()
    assert front.errors == []
