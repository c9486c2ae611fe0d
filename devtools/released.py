"""`dev.py run devtools.released`: saves this release's node schemas, for comparison by later releases.

    python dev.py run devtools.released             writes tests/comfy/released_nodes.json
    python dev.py run devtools.released --check     only says what the pack as it is breaks of the last release's nodes

Run it for each release, once the version in pyproject.toml is the new one.
"""

import argparse
import asyncio
import json
import re

import comfy.samplers
from comfy_api.latest import io

from .. import comfy_entrypoint
from . import ROOT, SetupError, say
from .schema_rules import breaches

RELEASED = ROOT / "tests" / "comfy" / "released_nodes.json"
FILES = ("clip_name", "t5_name", "file", "clip_file", "t5_file")  # combos of files on the user's disk
COMFYUI = {*comfy.samplers.KSampler.SAMPLERS, *comfy.samplers.KSampler.SCHEDULERS}  # may change with ComfyUI


def nodes() -> dict[str, dict]:
    """{node id: the node as plain data, see schema_rules.py}, in pipeline order."""

    async def listed():
        return await (await comfy_entrypoint()).get_node_list()

    return {each.GET_SCHEMA().node_id: describe(each.GET_SCHEMA()) for each in asyncio.run(listed())}


def describe(schema: io.Schema) -> dict:
    """The parts of a node that saved workflows depend on."""
    return {
        "inputs": [_input(each) for each in schema.inputs],
        "outputs": [
            {"name": each.display_name or each.get_io_type(), "type": each.get_io_type()} for each in schema.outputs
        ],
        "is_output_node": bool(schema.is_output_node),
    }


def _input(item) -> dict:
    given = item.as_dict()
    is_widget = isinstance(item, io.WidgetInput) and not item.force_input
    options = getattr(item, "options", None)
    template = getattr(item, "template", None)
    limits = [given.get("min"), given.get("max")]
    return {
        "name": item.id,
        "type": item.get_io_type(),
        "optional": bool(item.optional),
        "widgets": is_widget + bool(given.get("control_after_generate")),
        "has_default": given.get("default") is not None,
        "options": None if options is None or item.id in FILES else [one for one in options if one not in COMFYUI],
        "range": None if limits == [None, None] else limits,
        "slots": getattr(template, "names", None),
    }


def version() -> str:
    """The pack's version, from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "([^"]+)"', text, re.MULTILINE)[1]


def kept() -> dict:
    """The last release's: {"version": ..., "nodes": ...}; no nodes before the first release."""
    return json.loads(RELEASED.read_text(encoding="utf-8")) if RELEASED.exists() else {"version": "none", "nodes": {}}


def written(release: str, now: dict[str, dict]) -> str:
    """The JSON of a release, with a line for each input and output."""

    def rows(items: list[dict]) -> str:
        return "[" + ",".join(f"\n   {json.dumps(each)}" for each in items) + "]"

    def node(name: str, what: dict) -> str:
        fields = f'"inputs": {rows(what["inputs"])},\n  "outputs": {rows(what["outputs"])}'
        return f'\n "{name}": {{\n  {fields},\n  "is_output_node": {json.dumps(what["is_output_node"])}}}'

    return f'{{"version": "{release}", "nodes": {{' + ",".join(node(*each) for each in now.items()) + "}}\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py run devtools.released", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    before, now = kept(), nodes()
    if broken := breaches(before["nodes"], now):
        raise SetupError(f"this breaks workflows of release {before['version']}:\n" + "\n".join(broken))
    if not check:
        RELEASED.write_text(written(version(), now), encoding="utf-8")
        say(f"wrote {len(now)} nodes of release {version()}")


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        raise SystemExit(f"error: {error}") from None
