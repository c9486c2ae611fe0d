"""One text encoder file -> a CLIP that holds that encoder alone. Imports ComfyUI.

ComfyUI's own loaders know FLUX.1's encoders as a pair: CLIPLoader offers no "flux" for one file, and a lone T5-XXL
comes out as Mochi's, with an attention mask that FLUX.1 does not use. Here each is built as FLUX.1's pair builds it.
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
from .weights_file import in_our_words, read_weights, require_file, shapes_of

log = logging.getLogger("flux_duet")

_OUTLINE = "t5 outline 1"  # under which a T5 file's record keeps it; another number when it is made otherwise


def load_clip_l(
    path: str,
    embeddings: list[str] | None = None,
    device: torch.device | None = None,
    disable_dynamic: bool = False,
) -> CLIP:
    """A CLIP that holds CLIP-L alone, or Long-CLIP with its 248 positions.

    `embeddings` are folders of textual inversions; `device` overrides ComfyUI's choice, `disable_dynamic` its
    DynamicVRAM. Raises BadFile, a ValueError, for a file that is not a whole CLIP-L.
    """
    require_file(path)
    with in_our_words(path):
        file, sd = file_at(path), read_weights(path)
        config = layout.check(shapes_of(sd), layout.CLIP_L, os.path.basename(path))
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
    """A CLIP that holds a T5 encoder alone: T5-XXL in any precision ComfyUI reads, fp8 and its quantised layouts too.

    The weights are read when they are first needed. Before, the header is, and of a file that was loaded once not even
    that. Arguments as for `load_clip_l`. Raises BadFile, a ValueError, for a file that is not a whole T5.
    """
    require_file(path)
    with in_our_words(path):
        file = file_at(path)
        return _unread_t5(path, file, _outline(file, os.path.basename(path)), embeddings, device, disable_dynamic)


def _unread_t5(path: str, file: EncoderFile, outline: _T5Outline, embeddings, device, disable_dynamic) -> CLIP:
    """The CLIP of a T5 that is known by its outline alone."""
    kinds = _FluxT5Tokenizer, _flux_t5(outline.dtype)
    options = {"t5xxl_model_config": outline.config, **_on(device)}
    # No parameters and no weights as yet: a model on the meta device is neither filled nor moved.
    unread = {**options, "initial_device": torch.device("meta")}
    clip = _build(kinds, [], unread, disable_dynamic, embedding_directory=embeddings)
    encoder = encoder_of(clip, T5XXL)
    t5 = transformer_of(encoder)
    if outline.quantised:
        t5.to(torch.float8_e4m3fn)  # for a size that is about right
    # The type that the user asks ComfyUI for is the one of now, whenever the weights are read.
    dtype = memory.text_encoder_dtype(load_device(patcher_of(clip)))
    put_transformer(encoder, Unread(t5, lambda: _read_in_our_words(clip, file, options, dtype)))
    mark(clip, file)
    return _reloadable(clip, load_t5, path, embeddings, device)


def _read_in_our_words(clip: CLIP, file: EncoderFile, options: dict, dtype: torch.dtype) -> torch.nn.Module:
    """As it happens in the middle of a run, whose error would name no file."""
    with in_our_words(file.path):
        return _read_t5(clip, file, options, dtype)


def _read_t5(clip: CLIP, file: EncoderFile, options: dict, dtype: torch.dtype) -> torch.nn.Module:
    """Puts the real T5 where the unread one is, for this CLIP and all its clones, and gives it."""
    name = os.path.basename(file.path)
    if not file.is_there():
        raise BadFile(f"{name} has changed or gone since Load T5 ran; queue again, and Load T5 takes what is there.")
    sd = read_weights(file.path)
    layout.check(shapes_of(sd), layout.T5, name)
    found = t5_kind(sd)
    if "t5_quantization_metadata" in found:
        options = {**options, "t5xxl_quantization_metadata": found["t5_quantization_metadata"]}
    # Not by another CLIP: its patcher would count the weights as patched, and LoRAs would be left out.
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
    """What of a T5 file must be known before its weights are needed."""

    config: dict
    dtype: torch.dtype
    quantised: bool


def _outline(file: EncoderFile, name: str) -> _T5Outline:
    """From the record of an earlier load, or else from the file."""
    known = file.recall().get(_OUTLINE)
    if known:
        return _T5Outline(known["config"], getattr(torch, known["dtype"]), known["quantised"])
    sd = read_weights(file.path)  # of a safetensors file this maps the weights, and reads none of them
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
    """The T5 half of comfy.text_encoders.flux.FluxClipModel: the same choice of the weights' dtype, the same names."""

    class FluxT5(SD1ClipModel):
        def __init__(self, device, dtype, model_options):
            dtype = memory.weight_dtype(file_dtype, dtype, device)
            t5 = T5XXLModel
            super().__init__(device=device, dtype=dtype, name=T5XXL, clip_model=t5, model_options=model_options)

        def state_dict(self, *args, **kwargs) -> BesideClipL:
            return BesideClipL(super().state_dict(*args, **kwargs))

        def memory_estimation_function(self, token_weight_pairs, device=None) -> int:
            """ComfyUI asks whenever it is about to move the weights to the device, so they have to be there now."""
            read(self.t5xxl)
            return 0

    return FluxT5


def _on(device: torch.device | None) -> dict:
    return {} if device is None else {"load_device": device, "offload_device": device}


def _build(kinds: tuple[type, type], sds: list[dict], options: dict, disable_dynamic: bool, **tokenizer) -> CLIP:
    if disable_dynamic:  # left out otherwise: ComfyUIs without DynamicVRAM do not know it
        tokenizer["disable_dynamic"] = True
    return build_clip(*kinds, sds, options, **tokenizer)


def _reloadable(clip: CLIP, load, *args) -> CLIP:
    """Tells ComfyUI how to make this model anew where it needs a second copy (hooks under DynamicVRAM, more GPUs)."""
    set_loader(patcher_of(clip), _load_patcher, (load, *args))
    return clip


def _load_patcher(load, *args, disable_dynamic=False):
    clip = load(*args, disable_dynamic=disable_dynamic)
    for encoder in encoders_of(clip):
        read(encoder)  # the CLIP that gets this copy goes on asking its first model to read
    return patcher_of(clip)
