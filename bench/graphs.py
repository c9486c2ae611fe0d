"""The graphs that `edit` and `cold` time on a real server: two prompts to a CONDITIONING, natively and by our nodes."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..devtools import ROOT
from ..devtools.server import PACK, Server
from ..nano.layouts import Shape
from ..nodes.encode.load import layout
from . import encoder_files
from .encoder_files import Encoders
from .measure import SIDES

PACKS = {PACK: ROOT, "flux-duet-bench": ROOT / "bench" / "sized_loader"}
TIMEOUT = 3600  # seconds for a prompt: T5-XXL on a slow disk and few cores

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def dual_loader(encoders: Encoders) -> dict[str, Any]:
    pair = {"clip_name1": encoders.names["clip_l"], "clip_name2": encoders.names["t5xxl"]}
    if encoders.scale == "real":
        return node("DualCLIPLoader", **pair, type="flux")
    config = t5_config(encoder_files.SCALES[encoders.scale])
    return node("SizedDualCLIPLoader", **pair, t5_config=json.dumps(config))


def t5_config(shape: Shape) -> dict[str, Any]:
    """ComfyUI's sizes of a T5 of another size than T5-XXL."""
    return layout.T5.config(encoder_files.shapes_of("t5xxl", shape))


def native(encoders: Encoders, clip: str, t5: str) -> Graph:
    return {
        "DualCLIPLoader": dual_loader(encoders),
        "CLIPTextEncodeFlux": node(
            "CLIPTextEncodeFlux", clip=["DualCLIPLoader", 0], clip_l=clip, t5xxl=t5, guidance=3.5
        ),
        "PreviewAny": node("PreviewAny", source=["CLIPTextEncodeFlux", 0]),
    }


def ours(encoders: Encoders, clip: str, t5: str) -> Graph:
    return {
        "Load CLIP-L": node("FluxDuetLoadClip", clip_name=encoders.names["clip_l"]),
        "Load T5": node("FluxDuetLoadT5", t5_name=encoders.names["t5xxl"]),
        "CLIP-L Encode": node("FluxDuetClipEncode", clip=["Load CLIP-L", 0], text=clip),
        "T5 Encode": node("FluxDuetT5Encode", clip=["Load T5", 0], text=t5, length="ComfyUI"),
        "Dual Prompt": node("FluxDuetDualPrompt", vec=["CLIP-L Encode", 0], txt=["T5 Encode", 0], guidance=3.5),
        "PreviewAny": node("PreviewAny", source=["Dual Prompt", 0]),
    }


GRAPHS = dict(zip(SIDES, (native, ours), strict=True))


@dataclass(frozen=True)
class Run:
    """One run of a graph: its time, the nodes that ComfyUI executed (not cached), the CONDITIONING as text."""

    seconds: float
    ran: tuple[str, ...]
    text: str


def server(encoders: Encoders, base: Path | None = None) -> Server:
    """A server with these encoders and both sides' nodes; its user folder is empty, or that of `base`."""
    return Server(packs=PACKS, model_folders={"text_encoders": encoders.folder}, base=base)


def timed(server: Server, graph: Graph) -> Run:
    """Runs a graph, timed from the request to ComfyUI's `execution_success`."""
    ended: list[float] = []

    def watch(kind: str, data: dict) -> None:
        if kind == "execution_success":
            ended.append(time.perf_counter())

    started = time.perf_counter()
    result = server.run(graph, timeout=TIMEOUT, on_event=watch)
    return Run(ended[0] - started, tuple(result.executed), result.outputs["PreviewAny"]["text"][0])
