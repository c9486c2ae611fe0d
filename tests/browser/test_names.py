"""The name that Save Embedding saves under is filled in as Save Image's is, when the prompt is sent."""

import re

NAME = "%date:yyyy-MM-dd%/%date:yy_M_d%-%Mine.seed%-%KSampler.sampler_name%-%Nobody.seed%-%width%-%year%-100%"
ADD = """name => {
    const add = type => app.graph.add(LiteGraph.createNode(type)) ?? app.graph.nodes.at(-1);
    const set = (node, name, value) => { node.widgets.find(widget => widget.name === name).value = value; };
    const titled = add("KSampler");
    titled.title = "Mine";
    set(titled, "seed", 1234);
    set(add("KSampler"), "sampler_name", "dpm/2");
    for (const type of ["SaveImage", "FluxDuetSaveStream"]) set(add(type), "filename_prefix", name);
}"""
WRITTEN = """() => app.graph.serialize().nodes.find(node => node.type === "FluxDuetSaveStream").widgets_values"""


def names(front) -> dict[str, str]:
    """The file name in the prompt that would be sent."""
    return {node["class_type"]: node["inputs"]["filename_prefix"] for node in front.to_api().values()
            if "filename_prefix" in node["inputs"]}  # fmt: skip


def test_names_are_filled_in_as_for_save_image(front):
    front.page.evaluate(ADD, NAME)
    sent = names(front)
    assert sent["FluxDuetSaveStream"] == sent["SaveImage"]
    date, rest = sent["SaveImage"].split("/")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
    assert re.fullmatch(r"\d\d_\d+_\d+-1234-.+-%Nobody.seed%-%width%-%year%-100%", rest)
    assert front.page.evaluate(WRITTEN) == [NAME]  # the saved workflow keeps the placeholder


def test_a_name_survives_saving_and_loading(front):
    front.page.evaluate(ADD, NAME)
    front.load(front.page.evaluate("() => app.graph.serialize()"))
    sent = names(front)
    assert sent["FluxDuetSaveStream"] == sent["SaveImage"] != NAME


def test_a_plain_name_stays(front):
    front.page.evaluate(ADD, "flux_duet/prompt")
    assert names(front)["FluxDuetSaveStream"] == "flux_duet/prompt"


BOXES = """type => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    const boxes = node.widgets.map(({ element }) => element).filter(element => element?.tagName === "TEXTAREA");
    const named = ({ style }) => decodeURIComponent(style.backgroundImage).match(/>([^<]*)<\\/text>/)?.[1] ?? null;
    return new Promise(done => requestAnimationFrame(() => done(boxes.map(named))));
}"""


def test_several_text_boxes_are_named(front):
    assert front.page.evaluate(BOXES, "FluxDuetScheduleText") == ["clip_text", "t5_text"]
    assert front.page.evaluate(BOXES, "FluxDuetClipEncode") == [None]
    assert front.errors == []
