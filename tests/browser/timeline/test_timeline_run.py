"""The run that a timeline is drawn for is found in the graph, through native nodes, reroutes and subgraphs."""

import pytest

from flux_duet.tests.browser.waiting import becomes

# `graph` is a function's body that gets `add(type, values)`, `wire(from, to, input)` and the Prompt Schedule `node`.
FIND = """async graph => {
    const { runOf } = await import("/extensions/flux-duet/timeline/run.mjs");
    const add = (type, values = {}) => {
        const node = LiteGraph.createNode(type);
        app.graph.add(node);
        for (const [name, value] of Object.entries(values)) {
            node.widgets.find(widget => widget.name === name).value = value;
        }
        return node;
    };
    const wire = (from, to, input) => from.connect(0, to, to.inputs.findIndex(each => each.name === input));
    const node = add("FluxDuetSchedule");
    new Function("add", "wire", "node", graph)(add, wire, node);
    return runOf(node);
}"""
SIZE = "add('EmptySD3LatentImage', { width: 768, height: 512 })"
CASES = {
    "MMDiT Sampler": (
        f"""const sampler = add("FluxDuetSampler", {{ steps: 12, scheduler: "official", denoise: 0.5 }});
        wire(node, sampler, "positive"); wire({SIZE}, sampler, "latent");""",
        {"steps": 12, "scheduler": "official", "denoise": 0.5, "width": 768, "height": 512, "shift": 1.15}),
    "KSampler behind native nodes": (
        """const guidance = add("FluxGuidance"), sampler = add("KSampler", { steps: 9, scheduler: "beta", denoise: 1 });
        wire(node, guidance, "conditioning"); wire(guidance, sampler, "positive");""",
        {"steps": 9, "scheduler": "beta", "sampler": "euler", "denoise": 1}),
    "SamplerCustomAdvanced": (
        """const guider = add("BasicGuider"), sampler = add("SamplerCustomAdvanced");
        wire(node, guider, "conditioning"); wire(guider, sampler, "guider");
        wire(add("BasicScheduler", { steps: 7, scheduler: "normal", denoise: 1 }), sampler, "sigmas");""",
        {"steps": 7, "scheduler": "normal"}),
    "sigmas of its own": (
        f"""const sigmas = add("FluxDuetSigmas", {{ steps: 5, shift: "fixed", mu: 2, denoise: 1 }});
        wire({SIZE}, sigmas, "latent"); wire(sigmas, node, "sigmas");""",
        {"steps": 5, "scheduler": "official", "mu": 2}),
    "schnell": (
        """const sampler = add("KSampler", { steps: 4 }), loader = add("UNETLoader");
        loader.widgets[0].value = "flux1-schnell.safetensors";
        wire(node, sampler, "positive"); wire(loader, sampler, "model");""",
        {"steps": 4, "shift": None}),
    "a patched shift": (
        """const sampler = add("KSampler", { steps: 4 }), loader = add("UNETLoader");
        const patch = add("ModelSamplingFlux", { max_shift: 1.15, base_shift: 0.5, width: 512, height: 512 });
        wire(node, sampler, "positive"); wire(patch, sampler, "model"); wire(loader, patch, "model");""",
        {"steps": 4, "shift": pytest.approx(0.63)}),
    "steps from another node": (
        """const sampler = add("KSampler"), number = add("PrimitiveInt", { value: 33 });
        wire(node, sampler, "positive"); wire(number, sampler, "steps");""",
        {"steps": 33}),
    "no sampler": ("", {"steps": 20, "scheduler": "simple"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_run_is_found(front, name):
    graph, expected = CASES[name]
    found = front.page.evaluate(FIND, graph)
    assert {key: found["plan"][key] for key in expected} == expected
    assert bool(found["title"]) == (name != "no sampler")
    assert front.server.post("/flux_duet/sigmas", found["plan"])["sigmas"][-1] == 0
    assert front.errors == []


def test_it_is_found_out_of_a_subgraph(front):
    found, left = front.page.evaluate("""async () => {
        const { runOf } = await import("/extensions/flux-duet/timeline/run.mjs");
        const listeners = new Set(), own = {};
        for (const [name, change] of [["addEventListener", "add"], ["removeEventListener", "delete"]]) {
            own[name] = app.api[name];
            app.api[name] = function (kind, listener, ...rest) {
                if (kind === "graphChanged") listeners[change](listener);
                return own[name].call(this, kind, listener, ...rest);
            };
        }
        const [node, sampler] = ["FluxDuetSchedule", "KSampler"].map(type => {
            const made = LiteGraph.createNode(type);
            app.graph.add(made);
            return made;
        });
        sampler.widgets.find(widget => widget.name === "steps").value = 17;
        node.connect(0, sampler, 1);
        const { subgraph } = app.graph.convertToSubgraph(new Set([node]));
        const [inner] = subgraph.nodes, { plan } = runOf(inner);
        const before = listeners.size;
        app.graph.clear(); // which does not tell the nodes in subgraphs
        app.api.dispatchCustomEvent("graphChanged", null);
        for (const name of Object.keys(own)) delete app.api[name];
        inner.onRemoved(); // the front end itself would leave its widgets on the page
        return [plan, [before, listeners.size]];
    }""")
    assert found["steps"] == 17
    assert left == [1, 0]
    assert front.errors == []


IDLE = """([steps, timeline]) => {
    const add = type => {
        const node = LiteGraph.createNode(type);
        app.graph.add(node);
        return node;
    };
    const node = app.graph.nodes.find(node => node.comfyClass === "FluxDuetSchedule") ?? add("FluxDuetSchedule");
    const set = (node, name, value) => {
        const widget = node.widgets.find(widget => widget.name === name);
        widget.value = value;
        widget.callback?.(value);
    };
    if (steps) {
        const sampler = app.graph.nodes.find(node => node.comfyClass === "KSampler") ?? add("KSampler");
        if (!sampler.inputs[1].link) node.connect(0, sampler, 1);
        set(sampler, "steps", steps);
    }
    set(node, "t5_timeline", timeline);
    app.api.dispatchCustomEvent("graphChanged", null);
}"""


@pytest.mark.parametrize(
    "timeline, message",
    [
        ("1\n@90 2", "T5: the prompt from 90 has no effect in this run (steps: 10)."),
        ("1\n@4 2\n@10..12 3", "T5: the prompt from 10 has no effect in this run (steps: 10)."),
        ("1\n@99.9% 2", "T5: the prompt from 99.9% has no effect in this run (steps: 10)."),
        ("1\n@85% 2\n@88% 3", "T5: the prompt from 85% has no effect in this run (steps: 10)."),
    ],
)
def test_a_prompt_that_never_acts_is_reported(front, timeline, message):
    front.page.evaluate(IDLE, [0, timeline])
    front.page.locator(".foot", has_text="assumes").wait_for()  # without a known run no prompt is reported
    front.page.evaluate(IDLE, [10, timeline])
    front.page.locator(".foot[data-wrong]", has_text=message).wait_for()
    front.page.evaluate(IDLE, [10, "1\n@9 2"])
    front.page.locator(".foot:not([data-wrong])", has_text="10 steps").wait_for()
    front.page.evaluate(IDLE, [200, timeline if "90 " in timeline else "1\n@90 2"])
    front.page.locator(".foot:not([data-wrong])", has_text="200 steps").wait_for()
    assert front.errors == []


def test_without_the_server_it_goes_on_and_says_so(front):
    front.page.route("**/flux_duet/sigmas", lambda route: route.abort())
    front.page.evaluate("""() => {
        const node = LiteGraph.createNode("FluxDuetSchedule");
        app.graph.add(node);
    }""")
    front.page.locator(".foot", has_text="The server gives no noise schedule").wait_for()
    front.page.unroute("**/flux_duet/sigmas")
    assert front.page.locator(".ruler span").all_inner_texts()[:2] == ["0", "2"]
    front.page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', null)")  # which sends the request again
    front.page.locator(".foot", has_text="could not").wait_for(state="hidden")


def test_a_text_from_another_node_is_shown_and_not_edited(front):
    front.page.evaluate("""() => {
        const add = (type, pos) => {
            const node = LiteGraph.createNode(type);
            node.pos = pos;
            app.graph.add(node);
            return node;
        };
        const node = add("FluxDuetSchedule", [420, 0]), text = add("PrimitiveStringMultiline", [0, 0]);
        text.widgets[0].value = "1\\n@5 1\\n@10 1";
        const at = node.inputs.findIndex(input => input.name === "clip_timeline");
        text.connect(0, node, at);
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [-330, 90];
        app.canvas.setDirty(true, true);
    }""")
    track = front.page.locator("[role=listbox][aria-label='CLIP timeline']")
    becomes(front, track.count, 1)  # the former test's node has left the page
    track.locator(".segment").nth(2).wait_for()
    assert track.locator(".segment").count() == 3 and not track.locator(".grip").first.is_visible()
    track.locator(".segment").nth(1).focus()
    front.page.keyboard.press("ArrowRight")
    front.page.keyboard.press("Enter")
    front.still()
    assert track.locator(".segment").count() == 3
    assert front.errors == []
