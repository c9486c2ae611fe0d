"""How long does the pack take when ComfyUI starts? One measurement, in this process, as JSON.

    python dev.py bench start

`bench step` repeats it in fresh processes. ComfyUI's own modules and built-in nodes come first, as in its start;
then its own loader takes the pack: import, comfy_entrypoint, on_load, get_node_list and every node's schema.
`cpu` is the CPU time of it, which other programs hardly change. `own` are the pack's modules that came in, `modules`
those of others that nothing had imported before.
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


async def load() -> dict:
    """Seconds, and the modules that came in with the pack."""
    # ComfyUI's built-in nodes add routes to the server, so it must exist; it does not listen.
    server.PromptServer(asyncio.get_running_loop())
    await nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
    before = set(sys.modules)
    started, busy = time.perf_counter(), time.process_time()
    loaded = await nodes.load_custom_node(str(ROOT))
    taken, busy = time.perf_counter() - started, time.process_time() - busy
    if not loaded:
        raise RuntimeError("ComfyUI could not load the pack; its log above says why")
    package = str(ROOT).replace(".", "_x_")  # ComfyUI's name for it
    new = sorted(set(sys.modules) - before)
    return {
        "seconds": taken,
        "cpu": busy,
        "own": [name.removeprefix(f"{package}.") for name in new if name.startswith(f"{package}.")],
        "modules": [name for name in new if not name.startswith(package)],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # ComfyUI creates folders for users and inputs: not in its own folder
        folder_paths.set_user_directory(folder)
        folder_paths.set_input_directory(folder)
        told = asyncio.run(load())
    print(json.dumps(told))
