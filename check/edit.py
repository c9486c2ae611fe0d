"""How long after an edit of the CLIP prompt, and after ComfyUI's start, is there a CONDITIONING? Needs ComfyUI."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import comfy_extras.nodes_flux
import folder_paths

from ..bench import cold
from ..bench.encoder_files import Encoders
from ..bench.measure import SIDES, Comparison, rounds, size
from ..devtools.inside import has_distribution
from ..nodes.condition.nodes import DualPrompt
from ..nodes.encode.nodes import ClipEncode, T5Encode
from .equal import GUIDANCE, compared
from .kit import CLIP_TEXT, T5_TEXT, Kit
from .report import Cost, Equal, Fact, Row
from .sections import NotRun, Section

SERVER_STARTS = 3 * 25.0  # seconds, with ComfyUI's imports and a first prompt


def edited(kit: Kit) -> Iterator[Row]:
    """A new CLIP prompt with the same T5 prompt: natively both encoders run, with our nodes CLIP-L alone.

    Both sides use the same CLIP, that of DualCLIPLoader.
    """
    clip = kit.models.dual()
    rows = T5Encode.execute(clip, T5_TEXT)[0]
    encode = comfy_extras.nodes_flux.CLIPTextEncodeFlux.execute
    calls = {
        "native": lambda text: encode(clip, text, T5_TEXT, GUIDANCE)[0],
        "ours": lambda text: DualPrompt.execute(ClipEncode.execute(clip, text)[0], rows, GUIDANCE)[0],
    }
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    found = {side: call(CLIP_TEXT) for side, call in calls.items()}  # also warms up
    for number, side in rounds(kit.rounds):
        started = time.perf_counter()
        found[side] = calls[side](f"{CLIP_TEXT}, number {number}")
        seconds[side].append(time.perf_counter() - started)
    [[txt, extras]], [[our_txt, our_extras]] = found["native"], found["ours"]
    yield compared("edit of the CLIP prompt: vec", extras["pooled_output"], our_extras["pooled_output"])
    yield compared("edit of the CLIP prompt: txt", txt, our_txt)
    yield Cost(Comparison("edit of the CLIP prompt, to the CONDITIONING", **seconds))


def started_cold(kit: Kit) -> Iterator[Row]:
    """The first CONDITIONING of a newly started ComfyUI: native, ours with an empty and with a full embedding store."""
    for needed in ("comfyui-frontend-package", "comfyui-workflow-templates", "comfyui-embedded-docs"):
        if not has_distribution(needed):
            raise NotRun(f"ComfyUI's server needs {needed}, which this Python does not have")
    encoders = _encoders(kit)
    kit.models.free()
    with tempfile.TemporaryDirectory(prefix="check-", dir=kit.models.folder) as disk:
        firsts = cold.measure(encoders, Path(disk), 1, cold.warm_up)
    texts = {one.run.text for ones in firsts.values() for one in ones}
    yield Equal("cold start: the three CONDITIONINGs", len(texts) == 1, f"{len(texts)} different ones")
    native = firsts[cold.NATIVE]
    for case, what in ((cold.EMPTY, "empty"), (cold.WARM, "full")):
        times = [[one.run.seconds for one in ones] for ones in (native, firsts[case])]
        yield Cost(Comparison(f"cold start, {what} embedding store, to the CONDITIONING", *times))
        memory = [[one.cost.memory for one in ones] for ones in (native, firsts[case])]
        held = Comparison(what, *memory, as_text=size)
        yield Fact(f"cold start, {what} embedding store: main memory, ratio to native", round(held.ratio, 4))


def _encoders(kit: Kit) -> Encoders:
    names = {part: kit.models.name(part) for part in ("clip_l", "t5xxl")}
    paths = {Path(folder_paths.get_full_path_or_raise("text_encoders", name)) for name in names.values()}
    folders = {path.parent for path in paths}
    if len(folders) > 1:
        raise NotRun("the two text encoders are in different folders; for the cold start they need to be in one")
    scale = "real" if "t5xxl" in kit.models.given else kit.models.scale
    return Encoders(scale, folders.pop(), {part: Path(name).name for part, name in names.items()})


def sections() -> list[Section]:
    return [
        Section("edit", "an edit of the CLIP prompt", edited),
        Section("cold", "the first prompt after ComfyUI's start", started_cold, lambda kit: SERVER_STARTS),
    ]
