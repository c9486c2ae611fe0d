"""One text encoder file -> a CLIP with that encoder alone. Imports ComfyUI.

ComfyUI's loaders load FLUX.1's encoders only as a pair: CLIPLoader has no type "flux" for one file, and loads a single
T5-XXL as Mochi's, with an attention mask that FLUX.1 does not use. Here each encoder is built as in FLUX.1's pair.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass

import torch

from ...compat import memory
from ...compat.patches import load_device, offload_device, set_loader
from ...compat.text_encoders import (
    CLIP,
    SD1ClipModel,
    SD1Tokenizer,
    T5XXLModel,
    build_clip,
    count_parameters,
    encoder_of,
    encoders_of,
    patcher_of,
    put_transformer,
    t5_kind,
    t5_tokenizer_class,
    transformer_of,
)
from ...disk.encoder_files import EncoderFile
from ...keys import T5XXL
from ..embeddings.cached import file_at, mark
from . import layout
from .lazy_t5 import Unread, read
from .shapes import BadFile
from .t5_names import BesideClipL
from .weights_file import as_bad_file, read_weights, require_file, shapes_of

log = logging.getLogger("flux_duet")

_OUTLINE = "t5 outline 1"  # key of the outline in a T5 file's record; change the number when its format changes


def load_clip_l(
    path: str,
    embeddings: list[str] | None = None,
    device: torch.device | None = None,
    disable_dynamic: bool = False,
) -> CLIP:
    """A CLIP with CLIP-L alone, or Long-CLIP with 248 positions.

    `embeddings` are folders of textual inversions. `device` overrides ComfyUI's choice; `disable_dynamic` disables
    DynamicVRAM. Raises BadFile, a ValueError, for a file that is not a complete CLIP-L.
    """
    require_file(path)
    with as_bad_file(path):
        file, sd = file_at(path), read_weights(path)
        config = layout.check(shapes_of(sd), layout.CLIP_L, os.path.basename(path))
        # FLUX.1 reads the vector before this layer. ComfyUI would warn that it is missing.
        sd.setdefault("text_projection.weight", torch.eye(config["projection_dim"]))
        options = {"clip_l_model_config": config, **_on(device)}
        limits = {"clip_l_max_length": config["max_position_embeddings"]}
        kinds = SD1Tokenizer, SD1ClipModel
        clip = _build(kinds, [sd], options, disable_dynamic, embedding_directory=embeddings, tokenizer_data=limits)
    mark(clip, file)
    return _reloadable(clip, load_clip_l, path, embeddings, device)


def load_t5(
    path: str,
    embeddings: list[str] | None = None,
    device: torch.device | None = None,
    disable_dynamic: bool = False,
) -> CLIP:
    """A CLIP with a T5 encoder alone, in any precision that ComfyUI supports, including fp8 and quantised layouts.

    The weights are read when they are first needed. Until then only the file's header is read, and not even that if the
    file was loaded before. Arguments as for `load_clip_l`. Raises BadFile, a ValueError, for a file that is not a
    complete T5.
    """
    require_file(path)
    with as_bad_file(path):
        file = file_at(path)
        return _unread_t5(path, file, _outline(file, os.path.basename(path)), embeddings, device, disable_dynamic)


def _unread_t5(path: str, file: EncoderFile, outline: _T5Outline, embeddings, device, disable_dynamic) -> CLIP:
    """A CLIP with a T5 whose weights have not been read."""
    kinds = _FluxT5Tokenizer, _flux_t5(outline.dtype)
    options = {"t5xxl_model_config": outline.config, **_on(device)}
    # Built on the meta device, without weights: it is neither filled nor moved.
    unread = {**options, "initial_device": torch.device("meta")}
    clip = _build(kinds, [], unread, disable_dynamic, embedding_directory=embeddings)
    encoder = encoder_of(clip, T5XXL)
    t5 = transformer_of(encoder)
    if outline.quantised:
        t5.to(torch.float8_e4m3fn)  # so that the estimated size is about right
    # Determined now, so that the dtype does not depend on when the weights are read.
    dtype = memory.text_encoder_dtype(load_device(patcher_of(clip)))
    put_transformer(encoder, Unread(t5, lambda: _read_checked_t5(clip, file, options, dtype)))
    mark(clip, file)
    return _reloadable(clip, load_t5, path, embeddings, device)


def _read_checked_t5(clip: CLIP, file: EncoderFile, options: dict, dtype: torch.dtype) -> torch.nn.Module:
    """`_read_t5`, with errors as BadFile: it happens during a run, where an error would not name the file."""
    with as_bad_file(file.path):
        return _read_t5(clip, file, options, dtype)


def _read_t5(clip: CLIP, file: EncoderFile, options: dict, dtype: torch.dtype) -> torch.nn.Module:
    """Replaces the placeholder by the loaded T5, for this CLIP and all its clones, and returns the T5."""
    name = os.path.basename(file.path)
    if not file.is_current():
        raise BadFile(f"{name} was changed or removed since Load T5 ran. Queue the prompt again to load it.")
    sd = read_weights(file.path)
    layout.check(shapes_of(sd), layout.T5, name)
    found = t5_kind(sd)
    if "t5_quantization_metadata" in found:
        options = {**options, "t5xxl_quantization_metadata": found["t5_quantization_metadata"]}
    # No new CLIP is built for this: its patcher would count the weights as patched, and LoRAs would be left out.
    patcher = patcher_of(clip)
    size = count_parameters(sd) * memory.dtype_size(dtype)
    device = memory.text_encoder_initial_device(load_device(patcher), offload_device(patcher), size)
    model = _flux_t5(found.get("dtype_t5"))(device=device, dtype=dtype, model_options=options)
    memory.archive_dtypes(model)
    encoder, t5 = encoder_of(clip, T5XXL), transformer_of(model.t5xxl)
    unread = transformer_of(encoder)
    put_transformer(encoder, t5)
    try:
        missing, _ = clip.load_sd(sd)
    except BaseException:
        put_transformer(encoder, unread)
        raise
    if missing:
        log.warning("%s: no weights for %s", name, ", ".join(missing))
    return t5


@dataclass(frozen=True)
class _T5Outline:
    """The facts about a T5 file that are needed before its weights."""

    config: dict
    dtype: torch.dtype
    quantised: bool


def _outline(file: EncoderFile, name: str) -> _T5Outline:
    """The outline from the record of an earlier load, or else from the file. Raises BadFile."""
    known = file.recall().get(_OUTLINE)
    if known:
        return _T5Outline(known["config"], getattr(torch, known["dtype"]), known["quantised"])
    sd = read_weights(file.path)  # memory-maps a safetensors file, without reading its weights
    config = layout.check(shapes_of(sd), layout.T5, name)
    found = t5_kind(sd)
    outline = _T5Outline(config, found["dtype_t5"], "t5_quantization_metadata" in found)
    file.learn(**{_OUTLINE: {**asdict(outline), "dtype": str(outline.dtype).removeprefix("torch.")}})
    return outline


class _FluxT5Tokenizer(SD1Tokenizer):
    def __init__(self, embedding_directory, tokenizer_data):
        super().__init__(
            embedding_directory=embedding_directory,
            tokenizer_data=tokenizer_data,
            name=T5XXL,
            tokenizer=t5_tokenizer_class(),
        )


def _flux_t5(file_dtype: torch.dtype | None) -> type:
    """A model class for T5 alone, with the names and the choice of dtype of comfy.text_encoders.flux.FluxClipModel."""

    class FluxT5(SD1ClipModel):
        def __init__(self, device, dtype, model_options):
            dtype = memory.weight_dtype(file_dtype, dtype, device)
            t5 = T5XXLModel
            super().__init__(device=device, dtype=dtype, name=T5XXL, clip_model=t5, model_options=model_options)

        def state_dict(self, *args, **kwargs) -> BesideClipL:
            return BesideClipL(super().state_dict(*args, **kwargs))

        def memory_estimation_function(self, token_weight_pairs, device=None) -> int:
            """ComfyUI calls this before it moves the weights to the device, so they must be read now."""
            read(self.t5xxl)
            return 0

    return FluxT5


def _on(device: torch.device | None) -> dict:
    return {} if device is None else {"load_device": device, "offload_device": device}


def _build(kinds: tuple[type, type], sds: list[dict], options: dict, disable_dynamic: bool, **tokenizer) -> CLIP:
    if disable_dynamic:  # not passed otherwise: versions without DynamicVRAM do not accept it
        tokenizer["disable_dynamic"] = True
    return build_clip(*kinds, sds, options, **tokenizer)


def _reloadable(clip: CLIP, load, *args) -> CLIP:
    """Sets how ComfyUI loads a second copy of this model, if it needs one (hooks under DynamicVRAM, several GPUs)."""
    set_loader(patcher_of(clip), _load_patcher, (load, *args))
    return clip


def _load_patcher(load, *args, disable_dynamic=False):
    clip = load(*args, disable_dynamic=disable_dynamic)
    for encoder in encoders_of(clip):
        read(encoder)  # the CLIP that gets this copy still calls its first model's `memory_estimation_function`
    return patcher_of(clip)
