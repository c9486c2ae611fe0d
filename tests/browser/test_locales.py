"""The nodes in another language than English, in the real front end."""

import json
from pathlib import Path

from flux_duet.devtools.front_end import READY

LOCALES = Path(__file__).parents[2] / "locales"
NODE = """type => {
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    return [node.title, ...node.inputs.map(slot => slot.localized_name ?? slot.label ?? slot.name)];
}"""


def speak(front, language: str) -> None:
    """Sets the language in the settings and reloads the page, as a user does."""
    front.set("Comfy.Locale", language)
    front.page.reload()
    front.page.wait_for_function(READY)


def test_a_node_speaks_the_user_s_language(front):
    definition = json.loads((LOCALES / "zh" / "nodeDefs.json").read_text(encoding="utf-8"))["FluxDuetDualPrompt"]
    try:
        speak(front, "zh")
        front.page.wait_for_function(
            f"([type, title]) => ({NODE})(type)[0] === title",
            arg=["FluxDuetDualPrompt", definition["display_name"]],
            timeout=60_000,
        )
        labels = front.page.evaluate(NODE, "FluxDuetDualPrompt")[1:]
        assert labels[:2] == [definition["inputs"][name]["name"] for name in ("vec", "txt")]
    finally:
        speak(front, "en")
    assert front.page.evaluate(NODE, "FluxDuetDualPrompt")[0] == "Dual Prompt"
    assert front.errors == []


def test_every_language_of_the_front_end_is_there(front):
    offered = front.page.evaluate("""() => app.ui.settings.settingsLookup["Comfy.Locale"].options
        .map(option => option.value ?? option)""")
    assert sorted(offered) == sorted(path.name for path in LOCALES.iterdir())
