"""The MODEL and the encoded prompts of each line of Prompt Grid's `loras`. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import folder_paths

from ...compat.patches import ModelPatcher
from ...compat.text_encoders import CLIP
from ...lora.load import SortedLora, patches_of, read
from ...lora.reports import unused
from ...lora.strengths import Strengths
from ...streams import ClipVec, T5Text
from . import identity
from .choices import NAME
from .lora_lines import LoraLine


@dataclass(frozen=True)
class Variant:
    """The MODEL of a line, and the prompts as its encoders encode them. `line` is None in a grid without LoRAs."""

    line: LoraLine | None
    model: ModelPatcher
    vecs: Sequence[ClipVec]
    txts: Sequence[T5Text]

    @cached_property
    def digest(self) -> str | None:
        """Of the MODEL with its LoRAs; None if unknown."""
        return identity.of_model(self.model)


@dataclass
class Encoder:
    """Encodes the prompts of one stream: `encode(clip)` returns (streams, messages). `part` is its name for a LoRA."""

    part: str
    clip: CLIP
    encode: Callable[[CLIP], tuple[list, list[str]]]
    _plain: list | None = None
    messages: list[str] | None = None  # of the first encoding; those with LoRAs have the same

    def streams(self, clip: CLIP, lora: SortedLora | None) -> list:
        """The prompts as `clip` encodes them: this one with a LoRA. What no LoRA changes is encoded once."""
        if lora is not None and any(patch.place.part == self.part for patch in lora.patches):
            return self._encoded(clip)
        self._plain = self._plain or self._encoded(self.clip)
        return self._plain

    def _encoded(self, clip: CLIP) -> list:
        streams, messages = self.encode(clip)
        self.messages = messages if self.messages is None else self.messages
        return streams


def variants(
    model: ModelPatcher, clip: Encoder, t5: Encoder, lines: Sequence[LoraLine]
) -> tuple[list[Variant], list[str]]:
    """(a variant for each line, or one of the MODEL as it is; messages). Reads each file once.

    Raises ValueError for a file that changes nothing in this MODEL and its encoders.
    """
    loras, notes = {}, []
    for file in dict.fromkeys(line.file for line in lines if line.file is not None):
        loras[file] = _sorted(file, model, [clip.clip, t5.clip])
        words = unused(file, loras[file].unused, len(loras[file].file.weights), ("clip", "t5"))
        notes += [f"{NAME}: {words}"] if words else []
    found = []
    for line in lines or [None]:
        if line is None or not line.is_active:
            found.append(Variant(line, model, clip.streams(clip.clip, None), t5.streams(t5.clip, None)))
            continue
        lora = loras[line.file]
        changed, clips = lora.put(Strengths(overall=line.strength))
        vecs, txts = clip.streams(clips[0], lora), t5.streams(clips[-1], lora)
        found.append(Variant(line, changed, vecs, txts))
    return found, [*(clip.messages or []), *(t5.messages or []), *notes]


def _sorted(file: str, model: ModelPatcher, clips: Sequence[CLIP]) -> SortedLora:
    one = clips[:1] if clips[0] is clips[-1] else clips
    lora = patches_of(read(folder_paths.get_full_path_or_raise("loras", file)), model, one)
    if not lora.patches:
        raise ValueError(
            f"{NAME}: {file} changes nothing in this model and its encoders. It may be for another model than FLUX.1, "
            "or in a format that ComfyUI does not read: remove its line from `loras`."
        )
    return lora


def as_json(found: Sequence[Variant]) -> dict[str, Any]:
    """The axis in the JSON: file (null without LoRA), strength, the digest of the MODEL with it. {} without LoRAs."""
    axis = [{"file": each.line.file, "strength": each.line.strength, "model": each.digest}
            for each in found if each.line is not None]  # fmt: skip
    return {"loras": axis, "order": "LoRA, seed, CLIP prompt, T5 prompt"} if axis else {}
