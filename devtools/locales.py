"""`dev.py run devtools.locales`: writes locales/, the nodes' texts in the languages of ComfyUI's front end.

    python dev.py run devtools.locales                  locales/LANGUAGE/{nodeDefs,main}.json, all of them
    python dev.py run devtools.locales --missing de     the English texts that have no translation, by the file for it

The nodes themselves hold the English texts. devtools/translations/LANGUAGE.json maps each text to its translation, so
that a text which changes is a text without a translation: a test names it. js/languages/LANGUAGE.json does the same for
the texts of the panels, and is what the front end reads: see devtools/panel_texts.py.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import comfy_entrypoint
from . import ROOT, SetupError, panel_texts, say

LOCALES, TRANSLATIONS = ROOT / "locales", ROOT / "devtools" / "translations"
ENGLISH = "en"
LANGUAGES = ("ar", "es", "fa", "fr", "he", "ja", "ko", "pt-BR", "ru", "tr", "zh", "zh-TW")  # without English
PACK, FOLDERS = "Flux Duet", ("flux-duet", "comfyui-flux-duet", "ComfyUI-Flux-Duet")  # as people name the pack's folder
SPECIAL = re.compile(r"[{}@$|]")  # characters with a meaning in vue-i18n
Translate = Callable[[str], str]


def schemas() -> list:
    """The schema of every node, in the order of nodes/extension.py."""

    async def listed():
        return await (await comfy_entrypoint()).get_node_list()

    return [node.GET_SCHEMA() for node in asyncio.run(listed())]


def texts() -> list[str]:
    """Every English text once, in the order in which the nodes show them."""
    found: dict[str, None] = {}

    def note(text: str) -> str:
        found[text] = None
        return text

    node_defs(note), categories(note)
    return list(found)


def node_defs(translate: Translate) -> dict:
    """The content of the front end's nodeDefs.json."""
    return {schema.node_id: _node(schema, translate) for schema in schemas()}


def categories(translate: Translate) -> dict:
    """The content of the front end's main.json: each part of a category's path, and the pack's name on the template
    page, which is that of its folder otherwise."""
    parts = {part: None for schema in schemas() for part in schema.category.split("/")}
    return {
        "nodeCategories": {part: _message(translate(part)) for part in parts},
        "templateWorkflows": {"category": dict.fromkeys(FOLDERS, PACK)},
    }


def _node(schema, translate: Translate) -> dict:
    entry = {
        "display_name": _message(translate(schema.display_name)),
        "description": _message(translate(schema.description)),
    }
    entry["inputs"] = {_key(each.id): _slot(each, each.display_name or each.id, translate) for each in schema.inputs}
    entry["outputs"] = {
        str(number): _slot(each, each.display_name or each.io_type, translate)
        for number, each in enumerate(schema.outputs)
    }
    return entry


def _slot(slot, name: str, translate: Translate) -> dict:
    entry = {"name": _message(translate(name))}
    return {**entry, "tooltip": _message(translate(slot.tooltip))} if slot.tooltip else entry


def _key(name: str) -> str:
    return name.replace(".", "_")


def _message(text: str) -> str:
    """A text in vue-i18n's message format, with special characters escaped."""
    return SPECIAL.sub(lambda sign: f"{{'{sign[0]}'}}", text)


def table(language: str) -> dict[str, str]:
    path = TRANSLATIONS / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def missing(language: str) -> list[str]:
    known = table(language)
    return [text for text in texts() if not known.get(text, "").strip()]


def missing_by_file(language: str) -> dict[str, list[str]]:
    lacking = {"devtools/translations": missing(language), "js/languages": panel_texts.missing(language)}
    return {f"{folder}/{language}.json": texts for folder, texts in lacking.items() if texts}


def files() -> Iterator[tuple[Path, str]]:
    """The files of locales/: (path, content)."""
    for language in (ENGLISH, *LANGUAGES):
        known = {} if language == ENGLISH else table(language)

        def translate(text: str, known=known) -> str:
            return known.get(text, text)

        for name, content in (("nodeDefs", node_defs(translate)), ("main", categories(translate))):
            yield LOCALES / language / f"{name}.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py run devtools.locales", description=__doc__.splitlines()[0])
    parser.add_argument("--missing", metavar="LANGUAGE", choices=LANGUAGES, help="print what has no translation yet")
    chosen = parser.parse_args()
    if chosen.missing:
        print(json.dumps(missing_by_file(chosen.missing), indent=1, ensure_ascii=False))
        return
    if unfinished := [language for language in LANGUAGES if missing_by_file(language)]:
        raise SetupError(f"texts without a translation in {', '.join(unfinished)}; --missing LANGUAGE lists them")
    for path, content in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    say(f"wrote {len(LANGUAGES) + 1} languages")


if __name__ == "__main__":
    main()
