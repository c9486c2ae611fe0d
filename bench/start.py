"""How long does the pack take when ComfyUI starts? One measurement, in this process, as JSON.

    python dev.py bench start

`bench step` repeats it in fresh processes. ComfyUI's own modules and built-in nodes come first, as in its start;
then its own loader takes the pack: import, comfy_entrypoint, on_load, get_node_list and every node's schema.
"""

import asyncio
import json
import sys
import tempfile
import time

import execution  # noqa: F401 -- part of ComfyUI's start: what it imports does not count as the pack's
import folder_paths
import server

import nodes

from ..devtools import ROOT


async def load() -> tuple[float, list[str]]:
    """(seconds, modules imported by the pack except its own)."""
    # ComfyUI's built-in nodes add routes to the server, so it must exist; it does not listen.
    server.PromptServer(asyncio.get_running_loop())
    await nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
    before = set(sys.modules)
    started = time.perf_counter()
    loaded = await nodes.load_custom_node(str(ROOT))
    taken = time.perf_counter() - started
    if not loaded:
        raise RuntimeError("ComfyUI could not load the pack; its log above says why")
    own = str(ROOT).replace(".", "_x_")  # ComfyUI's name for the pack's package
    return taken, sorted(name for name in set(sys.modules) - before if not name.startswith(own))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # ComfyUI creates folders for users and inputs: not in its own folder
        folder_paths.set_user_directory(folder)
        folder_paths.set_input_directory(folder)
        seconds, modules = asyncio.run(load())
    print(json.dumps({"seconds": seconds, "modules": modules}))
