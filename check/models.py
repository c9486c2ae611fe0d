"""The models to check with: the user's own files, or random ones, and ComfyUI's own loaders for them. Needs ComfyUI."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import folder_paths
import psutil
import torch
from comfy.ldm.models.autoencoder import AutoencodingEngine
from safetensors.torch import save_file

import nodes

from ..bench import encoder_files
from ..bench.graphs import t5_config
from ..devtools import say
from ..devtools.environment import GB
from ..nano import layouts
from .report import Fact
from .sections import NotRun

SHAPES = {
    "real": dataclasses.replace(encoder_files.SCALES["real"], hidden=3072, double=19, single=38),
    "small": dataclasses.replace(encoder_files.SCALES["small"], hidden=256, double=2, single=4),
}
FLUX_DTYPES = {"real": torch.float8_e4m3fn, "small": torch.bfloat16}
FOLDERS = {"flux": "diffusion_models", "clip_l": "text_encoders", "t5xxl": "text_encoders", "ae": "vae"}
GROUPS = {"flux": ("flux",), "dual": ("clip_l", "t5xxl"), "vae": ("ae",)}
SPARE = 3 * GB  # memory for ComfyUI and for activations, besides the weights


def kl_autoencoder() -> AutoencodingEngine:
    """FLUX.1's autoencoder at its real size, with ComfyUI's parameters for it."""
    sizes = {"double_z": True, "z_channels": layouts.LATENT_CHANNELS, "resolution": 256, "in_channels": 3,
             "out_ch": 3, "ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [],
             "dropout": 0.0}  # fmt: skip
    parts = "comfy.ldm.modules.diffusionmodules.model"
    return AutoencodingEngine(
        regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
        encoder_config={"target": f"{parts}.Encoder", "params": sizes},
        decoder_config={"target": f"{parts}.Decoder", "params": sizes},
    )


class Models:
    """Loads each model when a section asks for it; of the transformer and the encoders, only one is in memory.

    `given` has the names of the user's files by part; the other parts are written to `folder` when first needed.
    """

    def __init__(self, scale: str, given: dict[str, str], folder: Path):
        self.scale, self.shape, self.given, self.folder = scale, SHAPES[scale], given, folder
        self.held: dict[str, Any] = {}
        self.notes: list[Fact] = []
        for part, kind in FOLDERS.items():
            if part not in given:
                folder_paths.add_model_folder_path(kind, str(folder / kind))

    # ---- what sections ask for

    def flux(self):
        """The MODEL of Load Diffusion Model."""
        dtype = "default" if "flux" in self.given or self.scale == "small" else "fp8_e4m3fn"
        return self._held("flux", lambda: nodes.UNETLoader().load_unet(self.name("flux"), dtype)[0])

    def dual(self):
        """The CLIP of DualCLIPLoader; at a small scale with the sizes of the small T5."""
        names = self.name("clip_l"), self.name("t5xxl")
        if self.scale == "real" or "t5xxl" in self.given:
            return self._held("dual", lambda: nodes.DualCLIPLoader().load_clip(*names, "flux")[0])
        paths = [folder_paths.get_full_path_or_raise("text_encoders", name) for name in names]
        options = {"t5xxl_model_config": t5_config(self.shape)}
        load = comfy.sd.load_clip
        return self._held("dual", lambda: load(paths, clip_type=comfy.sd.CLIPType.FLUX, model_options=options))

    def vae(self):
        return self._held("vae", lambda: nodes.VAELoader().load_vae(self.name("ae"))[0])

    def free(self) -> None:
        """Gives back all models' memory."""
        self.held.clear()
        comfy.model_management.unload_all_models()
        gc.collect()
        comfy.model_management.soft_empty_cache()

    def take_notes(self) -> Iterator[Fact]:
        """What was written and loaded since the last call, and how long it took."""
        noted, self.notes = self.notes, []
        yield from noted

    # ---- files

    def name(self, part: str) -> str:
        """The file's name in ComfyUI's model folders; a random file is written if there is none."""
        if part in self.given:
            return self.given[part]
        name = f"check_{part}.safetensors"
        path = self.folder / FOLDERS[part] / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(part, path)
        return name

    def bytes(self, part: str) -> int:
        path = folder_paths.get_full_path_or_raise(FOLDERS[part], self.name(part))
        return Path(path).stat().st_size

    def _write(self, part: str, path: Path) -> None:
        if part == "ae":
            real = self.scale == "real"
            module = layouts.random_weights(kl_autoencoder() if real else layouts.BUILDERS["ae"](self.shape))
            save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
            return
        dtype = FLUX_DTYPES[self.scale] if part == "flux" else encoder_files.DTYPE
        need, free = encoder_files.size_of(part, self.shape, dtype), shutil.disk_usage(path.parent).free
        if free < need + GB:
            raise NotRun(
                f"{path.parent} has {free / GB:.1f} GB free, the random {part} needs {need / GB + 1:.1f}; name another "
                "folder with --disk, or try --scale small"
            )
        say(f"  writing {need / GB:.2f} GB of random weights ...")
        started = time.perf_counter()
        encoder_files.write_part(path, part, self.shape, dtype)
        self.notes.append(Fact(f"writing a random {path.name}", round(time.perf_counter() - started, 1), "s"))

    # ---- memory

    def _held(self, group: str, load: Callable[[], Any]) -> Any:
        if group not in self.held:
            parts = GROUPS[group]
            if group != "vae":
                self.free()
            need = sum(self.bytes(part) for part in parts)
            free = psutil.virtual_memory().available
            if self.scale == "real" and free < need + SPARE:
                raise NotRun(f"{free / GB:.1f} GB of memory are free, {group} needs {(need + SPARE) / GB:.1f}")
            started = time.perf_counter()
            self.held[group] = load()
            what = f"loading {group}, {need / GB:.2f} GB"
            self.notes.append(Fact(what, round(time.perf_counter() - started, 2), "s"))
        return self.held[group]
