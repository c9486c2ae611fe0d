"""What a picture's numbers depend on, as a digest; None where that cannot be told. Imports ComfyUI.

A MODEL is told by the content of the file that ComfyUI loaded it from, by the biases and norms that it has now (should
the file have changed since), by its LoRAs and other weight patches, and by its settings. Whatever else may act on a
picture (another loader's weights, functions that nodes put around the model) has no content to compare: with any of it
there is no digest, and nothing may be kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple

from ...compat.patches import FILE_LOADERS
from ...condition.controls import KEY
from ...disk.machine import machine
from ...encode.embeddings.cached import Untold, file_at, told
from ...sample.sampling import SamplingPlan
from ...streams import ClipVec, Stream, T5Text

VERSION = 1  # of what Prompt Grid draws: raise it when the same inputs give other numbers
_OPAQUE = ("weight_wrapper_patches", "hook_patches", "forced_hooks", "injections", "additional_models")
PROBES = ("flux_duet_heatmap", "flux_duet_influence", "flux_duet_words")  # the keys of probes' wrappers
_SAMPLING, _CAST = "model_sampling", "manual_cast_dtype"  # object patches whose content can be told


def of_model(model) -> str | None:
    """What tells this MODEL, with its patches, from any other."""
    try:
        return _digest([VERSION, *machine(model), *_file(model), *_settings(model), _small_weights(model),
                        sorted(model.patches.items())])  # fmt: skip
    except Untold:
        return None


def of_cell(
    model: str | None, vec: ClipVec, txt: T5Text, guidance: float, latent: dict, plan: SamplingPlan
) -> str | None:
    """What tells this picture from any other; `model` is that of `of_model`."""
    if model is None:
        return None
    try:
        return _digest([model, _stream(vec), _stream(txt), guidance, sorted(latent.items()), astuple(plan)])
    except Untold:
        return None


def _digest(parts) -> str:
    return hashlib.sha256(json.dumps([*told(parts)]).encode()).hexdigest()


def _file(model) -> list:
    """The file's content, and how it was loaded."""
    loader, args, *which = model.cached_patcher_init or (None, [])
    if loader not in FILE_LOADERS:
        raise Untold
    path, *options = args
    try:
        content = file_at(path).digest()
    except OSError:
        content = None
    if content is None:
        raise Untold
    return [loader.__name__, content, options, which]


def _small_weights(model) -> str:
    """The biases and norms as they are without patches, wherever they are now: a thousandth of the weights."""
    parts = []
    for name, value in sorted(model.model.state_dict().items()):
        if value.ndim == 1:
            kept = model.backup.get(name)  # what a patch has taken the place of
            parts.append([name, kept.weight if kept is not None else value])
    return _digest(parts)


def _settings(model) -> list:
    if any(getattr(model, field) for field in _OPAQUE) or any(map(_acting, (model.wrappers, model.callbacks))):
        raise Untold
    if set(model.object_patches) - {_SAMPLING, _CAST}:
        raise Untold
    # Not as they are in the model just now, where another clone's patches may stand.
    sampling, cast = model.get_model_object(_SAMPLING), model.get_model_object(_CAST)
    return [str(model.model_dtype()), cast, type(model.model).__name__, _sampling(sampling), model.model_options]


def _acting(kinds: Mapping[str, Mapping[str, list]]) -> bool:
    """Whether there is any wrapper; Apply Duet's do nothing to what has no controls, MMDiT Sampler's are its, and
    probes' change no picture."""
    return any(each for keyed in kinds.values() for key, each in keyed.items() if key != KEY and key not in PROBES)


def _sampling(sampling) -> list:
    """ComfyUI's model_sampling: the classes that it is made of, its numbers and its sigmas."""
    plain = {key: value for key, value in vars(sampling).items()
             if not key.startswith("_") and isinstance(value, int | float | str)}  # fmt: skip
    names = [each.__qualname__ for each in type(sampling).__mro__]
    return [names, sorted(plain.items()), sorted(sampling.state_dict().items())]


def _stream(stream: Stream) -> list:
    if any(span.controls or span.attn_mask for span in stream.spans):
        raise Untold
    return [[span.tensor, span.bias, sorted(span.extras.items())] for span in stream.spans]
