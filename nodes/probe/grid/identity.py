"""Digests of everything that a picture's latent depends on; None if unknown. Imports ComfyUI.

A MODEL is identified by the content of the file that ComfyUI loaded it from, by its current biases and norms (in case
the file has changed since), and by disk/fingerprints.py: LoRAs and other weight patches, and settings. Anything else
that may change a picture (weights of another loader, functions that nodes put around the model) has no content to
compare: then there is no digest, and cells are not cached.
"""

from __future__ import annotations

from dataclasses import astuple

from ...compat import patches
from ...condition.controls import KEY
from ...disk.fingerprints import NotHashable, digest, of_patcher
from ...encode.embeddings.cached import file_at
from ...sample.sampling import SamplingPlan
from ...streams import ClipVec, Stream, T5Text

VERSION = 1  # raise it when the same inputs give other latents

# The keys of the wrappers of probes.
PROBES = ("flux_duet_heatmap", "flux_duet_concepts", "flux_duet_influence", "flux_duet_words")
# Wrappers that change no picture: MMDiT Sampler's, which do nothing without controls, and probes'.
OURS = (KEY, *PROBES)


def of_model(model) -> str | None:
    """A digest of a MODEL with its patches; None if unknown."""
    patches = of_patcher(model, ours=OURS)
    try:
        return patches and digest([VERSION, patches, _file(model), *_kind(model), _small_weights(model)])
    except NotHashable:
        return None


def of_cell(
    model: str | None, vec: ClipVec, txt: T5Text, guidance: float, latent: dict, plan: SamplingPlan
) -> str | None:
    """A digest of a cell's inputs; `model` is the result of `of_model`. None if unknown."""
    if model is None:
        return None
    try:
        return digest([model, _stream(vec), _stream(txt), guidance, sorted(latent.items()), astuple(plan)])
    except NotHashable:
        return None


def _file(model) -> list:
    """The digest of the MODEL's file, and how it was loaded. Raises NotHashable if unknown."""
    loader, args, which = patches.loader_of(model)
    if loader not in patches.FILE_LOADERS:
        raise NotHashable
    path, *options = args
    try:
        content = file_at(path).digest()
    except OSError:
        content = None
    if content is None:
        raise NotHashable
    return [loader.__name__, content, options, which]


def _small_weights(model) -> str:
    """A digest of the unpatched biases and norms, about a thousandth of all weights."""
    parts = []
    for name, value in sorted(patches.base_model(model).state_dict().items()):
        if value.ndim == 1:
            parts.append([name, patches.weight_without_patches(model, name, value)])
    return digest(parts)


def _kind(model) -> list[str]:
    return [type(patches.base_model(model)).__name__, str(model.model_dtype())]


def _stream(stream: Stream) -> list:
    if any(span.controls or span.attn_mask for span in stream.spans):
        raise NotHashable
    return [[span.tensor, span.bias, sorted(span.extras.items())] for span in stream.spans]
