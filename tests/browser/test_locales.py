"""The nodes and their panels in another language than English, in the real front end."""

import json
from pathlib import Path

from flux_duet.devtools import panel_texts
from flux_duet.devtools.front_end import READY
from flux_duet.tests.browser.tokens.boxes import CLIP, T5, add, expect_count

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


def test_a_node_and_its_panel_speak_the_user_s_language(front):
    definition = json.loads((LOCALES / "ja" / "nodeDefs.json").read_text(encoding="utf-8"))["FluxDuetDualPrompt"]
    said = panel_texts.table("ja")
    try:
        speak(front, "ja")
        front.page.wait_for_function(
            f"([type, title]) => ({NODE})(type)[0] === title",
            arg=["FluxDuetDualPrompt", definition["display_name"]],
            timeout=60_000,
        )
        labels = front.page.evaluate(NODE, "FluxDuetDualPrompt")[1:]
        assert labels[:2] == [definition["inputs"][name]["name"] for name in ("vec", "txt")]
        add(front, CLIP, T5)
        pads = said["{count} pads"]
        expect_count(front, f"0 / 75 {pads.format(count=75)}")
        expect_count(front, f"{said['1 token']} {pads.format(count=255)}", index=1)
        front.page.get_by_role("button", name=said["Hide the tokens"]).first.wait_for()
    finally:
        speak(front, "en")
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    assert front.page.evaluate(NODE, "FluxDuetDualPrompt")[0] == "Dual Prompt"
    assert front.errors == []


def test_every_language_of_the_front_end_is_there(front):
    offered = front.page.evaluate("""() => app.ui.settings.settingsLookup["Comfy.Locale"].options
        .map(option => option.value ?? option)""")
    assert sorted(offered) == sorted(path.name for path in LOCALES.iterdir())
