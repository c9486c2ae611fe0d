"""The nodes in another language than English, in the real front end."""

import json
from pathlib import Path

import pytest

LOCALES = Path(__file__).parents[2] / "locales"
NODE = """type => {
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    return [node.title, ...node.inputs.map(slot => slot.localized_name ?? slot.label ?? slot.name)];
}"""


@pytest.mark.parametrize("language", ["zh", "fr", "ar"])
def test_a_node_speaks_the_user_s_language(front, language):
    told = json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))["FluxDuetDualPrompt"]
    front.set("Comfy.Locale", language)
    try:
        front.page.wait_for_function(f"([type, title]) => ({NODE})(type)[0] === title",
                                     arg=["FluxDuetDualPrompt", told["display_name"]], timeout=20_000)
        labels = front.page.evaluate(NODE, "FluxDuetDualPrompt")[1:]
        assert labels[:2] == [told["inputs"][name]["name"] for name in ("vec", "txt")]
    finally:
        front.set("Comfy.Locale", "en")
    front.page.wait_for_function(f"type => ({NODE})(type)[0] === 'Dual Prompt'", arg="FluxDuetDualPrompt",
                                 timeout=20_000)
    assert front.errors == []


def test_every_language_of_the_front_end_is_there(front):
    offered = front.page.evaluate("""() => app.ui.settings.settingsLookup["Comfy.Locale"].options
        .map(option => option.value ?? option)""")
    assert sorted(offered) == sorted(path.name for path in LOCALES.iterdir())
