"""A MODEL and its encoders with chosen parts of a LoRA, and prompts encoded by them. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..compat.patches import ModelPatcher
from ..compat.text_encoders import CLIP
from ..condition.conditioning import join
from ..condition.extras import extras_of, with_extras
from ..condition.hooks import MERGES
from ..encode.choices import EMBEDDING, FIRST
from ..encode.clip_prompt import encode_clip_prompt
from ..encode.encoding import encode_t5, t5_notes
from ..family import require_flux1, require_picture
from ..lora.load import LoraFile, SortedLora, patches_of
from ..lora.parts import ENCODERS, PARTS
from ..lora.reports import unused
from ..lora.strengths import Strengths
from ..notice import log


@dataclass(frozen=True, eq=False)
class Subject:
    """A LoRA, what it is put on, and how its prompts are encoded.

    `like` is a CONDITIONING whose extras every prompt gets, or None. `notes` collects messages about tensors that act
    on nothing and about text that the encoders do not read.
    """

    node: str
    file: LoraFile
    strength: float
    model: ModelPatcher
    clip: CLIP
    t5: CLIP
    guidance: float
    length: str
    like: list | None = None
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_flux1(self.model, self.node)
        if words := unused(self.file.name, self.lora.unused, len(self.file.weights), ("clip", "t5")):
            self.notes[words] = None
        require_picture(self.model, self.extras, self.node)
        if not self.parts:
            raise ValueError(
                f"{self.node}: {self.file.name} at strength {self.strength:g} changes nothing in this model and its "
                "encoders, so there is nothing to measure. Use a LoRA for FLUX.1 in a format that ComfyUI reads, and a "
                "strength other than 0."
            )

    @cached_property
    def extras(self) -> Mapping[str, Any]:
        return extras_of(self.like, self.node)

    @cached_property
    def lora(self) -> SortedLora:
        clips = [self.clip] if self.t5 is self.clip else [self.clip, self.t5]
        return patches_of(self.file, self.model, clips)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts in which the file has patches."""
        held = {patch.place.part for patch, _ in self.lora.active(Strengths(overall=self.strength))}
        return tuple(part for part in PARTS if part in held)

    def put(self, parts: Collection[str]) -> tuple[ModelPatcher, list[CLIP]]:
        """(the MODEL, its CLIPs) with these parts of the LoRA."""
        return self.lora.put(Strengths(dict.fromkeys(set(PARTS) - set(parts), 0.0), overall=self.strength))

    def model_with(self, parts: Collection[str]) -> ModelPatcher:
        return self.put(set(parts) - set(ENCODERS))[0]

    def encode(self, clip_text: str, t5_text: str, parts: Collection[str]) -> list:
        """The CONDITIONING of two prompts; each encoder has the LoRA if it is among `parts`."""
        (clip, _), (_, t5) = (self._clips if part in parts else (self.clip, self.t5) for part in ENCODERS)
        vec, notes = encode_clip_prompt(clip, clip_text, FIRST)
        txt, cut = encode_t5(t5, t5_text, self.length, EMBEDDING)
        self.notes.update(dict.fromkeys([*notes, *t5_notes(self.t5, txt, cut)]))
        return join(vec, with_extras(txt, self.extras, MERGES, self.node), self.guidance, MERGES)

    @cached_property
    def _clips(self) -> tuple[CLIP, CLIP]:
        """(the CLIP for CLIP-L, that for T5) with the LoRA."""
        clips = self.put(ENCODERS)[1]
        return clips[0], clips[-1]


def warned(subject: Subject, text: str) -> str:
    """Logs the subject's notes as warnings; returns them after `text`, for the node."""
    for each in subject.notes:
        log.warning(f"{subject.node}: {each}")
    return "\n".join([text, *subject.notes])
