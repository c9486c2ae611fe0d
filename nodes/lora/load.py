"""A LoRA file's patches, sorted by what they change, and put on a MODEL and CLIPs. Imports ComfyUI.

    model, clips = patches_of(read(path), model, clips).put(Strengths({CLIP_STREAM: 0.5}))

ComfyUI's own loader makes the patches, so whatever format it reads works here too, and with all parts at 1 the result
is LoraLoader's, bit for bit. Nothing is changed in place: `put` may be called again with other strengths.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from ..compat import loras
from ..compat.flux_model import transformer_of
from ..compat.patches import attach
from ..compat.text_encoders import patcher_of
from ..compat.weights import load_file
from ..condition.blocks import Depth
from ..keys import LORA_METADATA
from .parts import Place, place_of
from .strengths import Strengths


@dataclass(frozen=True)
class LoraFile:
    """A file's tensors, under the names that ComfyUI's loader knows, and its metadata.

    Black Forest Labs' control LoRAs and USO have other names for them in the file.
    """

    name: str
    weights: Mapping[str, Tensor]
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Patch:
    """One patch: ComfyUI's key and value, the place of its weight, and what it was read from.

    `layer` is the layer's name in the file; `tensors` are the names of all its tensors, which patches of a weight and
    of its bias share.
    """

    key: Any
    value: Any
    place: Place
    layer: str
    tensors: frozenset[str]

    @property
    def weight(self) -> str:
        """The full name of the weight it changes."""
        return loras.weight_key(self.key)


@dataclass(frozen=True)
class SortedLora:
    """A file's patches for a MODEL and CLIPs, in ComfyUI's order."""

    file: LoraFile
    depth: Depth
    patches: Sequence[Patch]
    model: Any
    clips: Sequence[Any]

    @cached_property
    def unused(self) -> list[str]:
        """The names of tensors that act on nothing: ComfyUI does not know them, or nothing has the weight."""
        used = frozenset().union(*(patch.tensors for patch in self.patches))
        return [name for name in self.file.weights if name not in used]

    def active(self, strengths: Strengths) -> list[tuple[Patch, float]]:
        """The patches whose strength is not 0, with it."""
        strong = ((patch, strengths.of(patch.place, self.depth)) for patch in self.patches)
        return [(patch, strength) for patch, strength in strong if strength]

    def put(self, strengths: Strengths) -> tuple[Any, list]:
        """(the MODEL, its CLIPs): clones with the active patches, and the given object where there is none."""
        active = self.active(strengths)
        clips = [_put(clip, patcher_of, active, self.file) for clip in self.clips]
        return _put(self.model, lambda model: model, active, self.file), clips


def read(path: str | Path) -> LoraFile:
    """Reads a LoRA file of any format that ComfyUI knows."""
    weights, metadata = load_file(str(path))
    return as_file(Path(path).name, weights, metadata)


def as_file(name: str, weights: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> LoraFile:
    """Tensors by name, as they are in a file, as a LoraFile."""
    return LoraFile(name, loras.converted(weights), metadata)


def patches_of(file: LoraFile, model, clips: Collection = ()) -> SortedLora:
    """The patches that ComfyUI's loader makes for a FLUX.1 MODEL and CLIPs, each of one encoder or of both."""
    depth = Depth.of(transformer_of(model))
    names = loras.model_names(model)
    held = set(_weights(model))
    for clip in clips:
        names.update(loras.clip_names(clip))
        held.update(_weights(patcher_of(clip)))
    found: dict[Any, Patch] = {}  # a later name for the same weight replaces an earlier one, as in ComfyUI
    for layer, patches, tensors in loras.patches_by_name(file.weights, names):
        for key, value in patches.items():
            if (name := loras.weight_key(key)) in held:
                found[key] = Patch(key, value, place_of(name, depth), layer, frozenset(tensors))
    return SortedLora(file, depth, list(found.values()), model, list(clips))


def _weights(patcher) -> Collection[str]:
    return patcher.model.state_dict().keys()


def _put(holder, patcher_in, active: Sequence[tuple[Patch, float]], file: LoraFile):
    """A clone of a MODEL or CLIP with those patches that are for its weights; itself if there are none."""
    held = _weights(patcher_in(holder))
    own = [(patch, strength) for patch, strength in active if patch.weight in held]
    if not own:
        return holder
    clone = holder.clone()
    for strength in dict.fromkeys(strength for _, strength in own):
        group = {patch.key: patch.value for patch, each in own if each == strength}
        loras.put_patches(patcher_in(clone), group, strength)
    if file.metadata:
        attach(patcher_in(clone), LORA_METADATA, file.metadata)
    return clone
