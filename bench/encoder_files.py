"""Writes models of any size with random weights, tensor by tensor: T5-XXL's 9.5 GB are never in memory at once.

Every layer has the same random numbers: time and memory do not depend on them, and one layer is quick to generate.
"""

import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from ..devtools import SetupError, say
from ..devtools.environment import GB
from ..nano import layouts

CLIP_L = {"clip_width": 768, "clip_layers": 12}
SCALES = {
    "real": layouts.Shape(**CLIP_L, t5_width=4096, t5_layers=24, t5_heads=64, t5_head_width=64, t5_ff=10240),
    # As deep as T5-XXL, because ComfyUI takes a T5's dtype from its file only where there is a 24th block.
    "small": layouts.Shape(**CLIP_L, t5_width=512, t5_layers=24, t5_heads=8, t5_head_width=64, t5_ff=1024),
}
SPARE_GB = 3  # memory for ComfyUI, activations and one layer in float32, besides the weights

ENCODERS = ("clip_l", "t5xxl")
DTYPE = torch.bfloat16
DTYPE_NAMES = {torch.bfloat16: "BF16", torch.float8_e4m3fn: "F8_E4M3"}  # safetensors' names

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Encoders:
    """Both encoders' files at one of SCALES: `names` in `folder`."""

    scale: str
    folder: Path
    names: dict[str, str]

    def paths(self) -> dict[str, Path]:
        return {encoder: self.folder / name for encoder, name in self.names.items()}


@contextmanager
def written(disk: Path, scale: str) -> Iterator[Encoders]:
    """Encoders in a temporary folder on `disk`. Raises SetupError if there is too little memory or disk space."""
    disk.mkdir(parents=True, exist_ok=True)
    shape = SCALES[scale]
    check_room(disk, shape)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as folder:
        say(f"Writing {size(shape) / GB:.2f} GB of random encoders to {folder} ...")
        yield Encoders(scale, Path(folder), write(Path(folder), shape))


def check_room(folder: Path, shape: layouts.Shape) -> None:
    need, memory = size(shape), psutil.virtual_memory().available
    if memory < need + SPARE_GB * GB:
        raise SetupError(
            f"{memory / GB:.1f} GB of memory are free, these encoders need {need / GB + SPARE_GB:.1f}; "
            "close other programs, or try --scale small"
        )
    if shutil.disk_usage(folder).free < need + GB:
        raise SetupError(
            f"{folder} has {shutil.disk_usage(folder).free / GB:.1f} GB free, the encoders' files need "
            f"{need / GB + 1:.1f}; free some, name another folder with --disk, or try --scale small"
        )


def shapes(shape: layouts.Shape) -> dict[str, Shapes]:
    """The shape of every tensor of both encoders, by official key names."""
    return {name: shapes_of(name, shape) for name in ENCODERS}


def shapes_of(part: str, shape: layouts.Shape) -> Shapes:
    """The shape of every tensor of one part of FLUX.1, by official key names."""
    with torch.device("meta"):
        official = layouts.official({part: layouts.BUILDERS[part](shape)})[part]
    return {key: tuple(value.shape) for key, value in official.items()}


def size(shape: layouts.Shape) -> int:
    """Bytes of both files together, without their headers."""
    return sum(_size(each) for part in shapes(shape).values() for each in part.values())


def write(folder: Path, shape: layouts.Shape) -> dict[str, str]:
    """Writes both encoders to files in `folder`; returns their names."""
    for name in ENCODERS:
        write_part(folder / f"{name}.safetensors", name, shape)
    return {name: f"{name}.safetensors" for name in ENCODERS}


def write_part(path: Path, part: str, shape: layouts.Shape, dtype: torch.dtype = DTYPE) -> None:
    """Writes one part of FLUX.1 to a file: "flux", "clip_l" or "t5xxl"."""
    one_layer = dataclasses.replace(shape, clip_layers=1, t5_layers=1, double=1, single=1)
    weights = layouts.random_weights(layouts.BUILDERS[part](one_layer))
    stock = {key: value.to(dtype) for key, value in layouts.official({part: weights})[part].items()}
    del weights
    stream(path, shapes_of(part, shape), lambda key: stock[first_layer(key)], dtype)


def first_layer(key: str) -> str:
    """The key of the first layer's tensor that corresponds to a tensor of any layer."""
    return re.sub(r"(^|\.)(layers|block|double_blocks|single_blocks)\.\d+\.", r"\1\2.0.", key)


def stream(
    path: Path,
    wanted: Mapping[str, tuple[int, ...]],
    tensor_of: Callable[[str], torch.Tensor],
    dtype: torch.dtype = DTYPE,
) -> None:
    """Writes a safetensors file with one tensor in memory at a time: header length, JSON header, raw bytes."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for key, shape in wanted.items():
        start, end = end, end + _size(shape, dtype)
        header[key] = {"dtype": DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that tensors are aligned
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, shape in wanted.items():
            tensor = tensor_of(key)
            if tuple(tensor.shape) != shape or tensor.dtype != dtype:
                raise ValueError(f"{key}: got {tensor.dtype} {list(tensor.shape)}, expected {dtype} {list(shape)}")
            file.write(tensor.contiguous().view(torch.uint8).numpy())
        file.flush()
        os.fsync(file.fileno())  # otherwise the system would still be writing during the measurement
    os.replace(partial, path)


def size_of(part: str, shape: layouts.Shape, dtype: torch.dtype = DTYPE) -> int:
    """Bytes of one part's file, without its header."""
    return sum(_size(each, dtype) for each in shapes_of(part, shape).values())


def _size(shape: tuple[int, ...], dtype: torch.dtype = DTYPE) -> int:
    return torch.Size(shape).numel() * dtype.itemsize
