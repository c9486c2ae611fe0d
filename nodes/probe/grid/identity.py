"""What a picture's numbers depend on, as a digest; None where that cannot be told. Imports ComfyUI.

A MODEL is told by the content of the file that ComfyUI loaded it from, by the biases and norms that it has now (should
the file have changed since), and by what disk/fingerprints.py tells: LoRAs and other weight patches, and settings.
Whatever else may act on a picture (another loader's weights, functions that nodes put around the model) has no content
to compare: with any of it there is no digest, and nothing may be kept.
"""

from __future__ import annotations

from dataclasses import astuple

from ...compat import patches
from ...condition.controls import KEY
from ...disk.fingerprints import Untold, digest, of_patcher
from ...encode.embeddings.cached import file_at
from ...sample.sampling import SamplingPlan
from ...streams import ClipVec, Stream, T5Text

VERSION = 1  # of what Prompt Grid draws: raise it when the same inputs give other numbers

PROBES = ("flux_duet_heatmap", "flux_duet_influence", "flux_duet_words")  # the keys of probes' wrappers
# Wrappers that change no picture: MMDiT Sampler's own, which do nothing to what has no controls, and probes'.
OURS = (KEY, *PROBES)


def of_model(model) -> str | None:
    """What tells this MODEL, with its patches, from any other."""
    told = of_patcher(model, ours=OURS)
    try:
        return told and digest([VERSION, told, _file(model), *_kind(model), _small_weights(model)])
    except Untold:
        return None


def of_cell(
    model: str | None, vec: ClipVec, txt: T5Text, guidance: float, latent: dict, plan: SamplingPlan
) -> str | None:
    """What tells this picture from any other; `model` is that of `of_model`."""
    if model is None:
        return None
    try:
        return digest([model, _stream(vec), _stream(txt), guidance, sorted(latent.items()), astuple(plan)])
    except Untold:
        return None


def _file(model) -> list:
    """The file's content, and how it was loaded."""
    loader, args, which = patches.loader_of(model)
    if loader not in patches.FILE_LOADERS:
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
    for name, value in sorted(patches.base_model(model).state_dict().items()):
        if value.ndim == 1:
            parts.append([name, patches.weight_without_patches(model, name, value)])
    return digest(parts)


def _kind(model) -> list[str]:
    return [type(patches.base_model(model)).__name__, str(model.model_dtype())]


def _stream(stream: Stream) -> list:
    if any(span.controls or span.attn_mask for span in stream.spans):
        raise Untold
    return [[span.tensor, span.bias, sorted(span.extras.items())] for span in stream.spans]
