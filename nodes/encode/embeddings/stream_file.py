"""Files to share streams: a .safetensors with one stream or both, and their sources.

Tensors: `vec/0` [B, 768] and `txt/0` [B, L, 4096], one for each span, and `txt/0/bias` [B, L] for weights in the
attention. Metadata: format, version, family, a checksum, and for each stream its text, tokens, settings and encoder. A
file may come from anyone, so everything in it is checked before it is used, and nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ...disk.atomic import write_whole
from ...disk.checksums import checksum
from ...disk.given_file import read_given
from ...disk.metadata import metadata_of
from ...keys import MASK
from ...quoting import shorten
from ...streams import TXT, VEC, ClipVec, Source, Span, Stream, T5Text
from . import file_extras

FORMAT, VERSION, FAMILY = "flux_duet.stream", "1", "flux.1"
STREAMS: dict[str, type[Stream]] = {VEC: ClipVec, TXT: T5Text}
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_HEADER, MOST_BYTES, MOST_SPANS = 4 * 2**20, 256 * 2**20, 64  # bytes, bytes; T5 at 512 tokens takes 8 MB in fp32
_BIAS = "/bias"
_LABELS = {"past_75": "beyond 75 tokens"}  # what people read for a setting


@dataclass(frozen=True)
class Shared:
    """The content of a file: the streams by name (a key of STREAMS)."""

    streams: Mapping[str, Stream]

    def about(self) -> str:
        """A description of the file for the user."""
        return "\n".join(_about(name, stream) for name, stream in self.streams.items())


def _about(name: str, stream: Stream) -> str:
    shape = list(stream.spans[0].tensor.shape)
    if stream.source is None:
        return f"{name} {shape}: text unknown"
    encoder = {key: value for key, value in stream.source.encoder().items() if value}
    known = ", ".join(f"{key} {value[:12] if key == 'content' else value}" for key, value in encoder.items())
    settings = ", ".join(f"{_LABELS.get(key, key)} {value}" for key, value in stream.source.settings.items())
    return f"{name} {shape}: {stream.source.text}\n  {settings}; {known or 'encoder unknown'}"


# ---- writing


def save(path: Path, streams: Mapping[str, Stream]) -> None:
    """Writes streams to a file.

    Raises ValueError for a stream that a file cannot hold (hooks, ControlNets, controls, numbers that are not finite),
    and OSError. The bytes are parsed as in `load` before they are written, so that every file can be loaded.
    """
    write_whole(path, _packed(streams))


def fault(streams: Mapping[str, Stream]) -> str:
    """Why a file cannot hold these streams; "" if it can."""
    try:
        _packed(streams)
    except ValueError as error:
        return str(error)
    return ""


def _packed(streams: Mapping[str, Stream]) -> bytes:
    tensors, texts = {}, {}
    for name, stream in streams.items():
        texts[name] = json.dumps({"source": _source(stream), "extras": [_plain(name, span) for span in stream.spans]})
        for index, span in enumerate(stream.spans):
            tensors[f"{name}/{index}"] = _copied(span.tensor)
            if span.bias is not None:
                tensors[f"{name}/{index}{_BIAS}"] = _copied(span.bias)
    head = {"format": FORMAT, "version": VERSION, "family": FAMILY}
    data = safetensors.torch.save(tensors, {**head, **texts, "sha256": _digest(tensors, texts)})
    try:
        _parse(data)
    except _FAULTS as error:
        raise ValueError(f"Save Embedding: these prompts cannot be saved in a file: {_message(error)}.") from error
    return data


def _copied(tensor: Tensor) -> Tensor:
    # Two spans may share one tensor, which safetensors refuses.
    return tensor.detach().to("cpu", copy=True).contiguous()


def _source(stream: Stream) -> dict | None:
    source = stream.source
    if source is None:
        return None
    return {"text": source.text, "tokens": source.tokens, "settings": dict(source.settings),
            "encoder": dict(source.encoder())}  # fmt: skip


def _plain(name: str, span: Span) -> dict:
    if span.controls:
        raise ValueError(
            f"Save Embedding: `{name}` has controls (regions, routes, a timeline), which cannot be saved. Save the "
            "prompts it was made from, before controls are added."
        )
    masked = {} if span.attn_mask is None else {MASK: span.attn_mask}
    if wrong := file_extras.fault({**span.extras, **masked}):
        raise ValueError(
            f"Save Embedding: `{name}` has {wrong}. Save the prompt as it comes from the encoder, and add hooks, "
            "masks and ControlNets after loading it."
        )
    return dict(span.extras)


def _digest(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """sha256 (hex) of all tensors and of the streams' texts in the metadata."""
    parts = [[key, checksum(tensors[key])] for key in sorted(tensors)]
    return hashlib.sha256(json.dumps([parts, sorted(texts.items())]).encode()).hexdigest()


# ---- reading


def load(path: Path) -> Shared:
    """Reads a file of streams. Raises ValueError for anything but a complete file of this format."""
    name = path.name
    if path.suffix != ".safetensors":
        raise ValueError(
            f"Load Embedding: {name} is not a .safetensors file. Other formats are refused, because they can run code "
            "when they are opened."
        )
    try:
        return Shared(_parse(read_given(path, MOST_BYTES)))
    except _FAULTS as error:
        raise ValueError(
            f"Load Embedding: {name} cannot be used: {_message(error)}. Download or copy the file again."
        ) from error


_FAULTS = (ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError)


def _message(error: Exception) -> str:
    # safetensors quotes names in the file, which may have any length.
    return shorten(str(error) if isinstance(error, ValueError) else f"its structure is wrong ({error!r})", 400)


def _parse(data: bytes) -> dict[str, Stream]:
    """The streams in a file's bytes. Raises one of _FAULTS for anything but a complete file of this format."""
    tensors, metadata = _unpack(data)
    _check_head(metadata)
    texts = {stream: metadata[stream] for stream in STREAMS if stream in metadata}
    if metadata.get("sha256") != _digest(tensors, texts):
        raise ValueError("its checksum is wrong: it was damaged or changed")
    return _streams(tensors, texts)


def _unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes, far more than a prompt needs")
    header = int.from_bytes(data[:8], "little")
    if header > MOST_HEADER:
        raise ValueError(f"its header claims {header:,} bytes, expected at most {MOST_HEADER:,}")
    tensors = safetensors.torch.load(data)  # checks the header, and that its offsets are in the file
    return tensors, metadata_of(data)


def _check_head(metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ValueError("it was not saved by Save Embedding")
    if metadata.get("version") != VERSION:
        raise ValueError(f"it has version {metadata.get('version')}, expected {VERSION}: update Flux Duet")
    if metadata.get("family") != FAMILY:
        raise ValueError(f"it is for {metadata.get('family')}, expected {FAMILY}")


def _streams(tensors: dict[str, Tensor], texts: dict[str, str]) -> dict[str, Stream]:
    left, streams = dict(tensors), {}
    for name, text in texts.items():
        about = json.loads(text)
        extras = about["extras"]
        if not isinstance(extras, list) or not 1 <= len(extras) <= MOST_SPANS:
            raise ValueError(f"`{name}` has no list of 1 to {MOST_SPANS} encodings")
        spans = tuple(_span(name, index, extra, left) for index, extra in enumerate(extras))
        streams[name] = STREAMS[name](spans, _read_source(about["source"]))
    if left or not streams:
        raise ValueError(f"it has unknown tensors: {sorted(left)[:3]}" if left else "it has no prompt")
    return streams


def _span(name: str, index: int, extra: Any, left: dict[str, Tensor]) -> Span:
    """The span `index` of a stream; its tensors are removed from `left`."""
    key = f"{name}/{index}"
    tensor, bias = left.pop(key), left.pop(f"{key}{_BIAS}", None)
    _check_tensor(key, tensor)
    if bias is not None:
        _check_bias(name, bias, tensor)
    if wrong := file_extras.fault(extra):
        raise ValueError(f"`{name}` has {wrong}")
    return Span(tensor, extra, bias)


def _check_tensor(key: str, tensor: Tensor) -> None:
    """Raises ValueError for a tensor of the wrong shape or dtype, or with values that are not finite."""
    bias = key.endswith(_BIAS)
    ndim = 2 if bias else STREAMS[key.split("/")[0]].ndim
    if tensor.ndim != ndim or 0 in tensor.shape:
        raise ValueError(f"{key} has shape {list(tensor.shape)}, expected {ndim} dimensions, none of them 0")
    if tensor.dtype not in DTYPES:
        raise ValueError(f"{key} is {tensor.dtype}, expected float32, float16 or bfloat16")
    # A weight of 0 is a bias of minus infinity; if all were, the attention would have no text.
    good = (tensor < math.inf).all() and (tensor > -math.inf).any(-1).all() if bias else tensor.isfinite().all()
    if not good:
        raise ValueError(f"{key} has numbers that are not finite")


def _check_bias(name: str, bias: Tensor, tensor: Tensor) -> None:
    _check_tensor(f"{name}/0{_BIAS}", bias)
    if name != TXT or bias.shape[1] != tensor.shape[1] or bias.shape[0] not in (1, tensor.shape[0]):
        raise ValueError(f"`{name}` {list(tensor.shape)} has weights {list(bias.shape)}, expected one for each token")


def _read_source(source: Any) -> Source | None:
    if source is None:
        return None
    text, tokens, settings, encoder = (source[key] for key in ("text", "tokens", "settings", "encoder"))
    tables = all(isinstance(table, dict) for table in (settings, encoder))
    values = [*settings.values(), *encoder.values()] if tables else [0]
    if not isinstance(text, str) or not all(value is None or isinstance(value, str) for value in values):
        raise ValueError("its text, settings or encoder are not strings")
    read = [[_token(*token) for token in chunk] for chunk in tokens]
    return Source(text, read, settings, lambda: encoder)


def _token(token: Any, weight: Any) -> tuple[int | str, float]:
    if type(token) is not int and token != "embedding" or not file_extras.NUMBER.holds(weight):
        raise ValueError(f"{[token, weight]!r:.60} is not a token with its weight")
    return token, weight
