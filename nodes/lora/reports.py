"""What a LoRA file holds that acts on nothing, in words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..quoting import quoted, shorten

_OF_ENCODERS = ("lora_te", "text_encoder", "lycoris_te", "clip_l.", "t5xxl.")


def unused(file: str, names: Sequence[str], total: int, connected: Collection[str]) -> str:
    """How many of a file's tensors act on nothing, their first names, and what to do; "" if all act."""
    if not names:
        return ""
    told = f"{len(names)} of the {total} tensors in {shorten(file, 80)} have no effect: {quoted(list(names), 60, 4)}."
    if len(connected) < 2 and any(name.startswith(_OF_ENCODERS) for name in names):
        missing = " and ".join(f"`{name}`" for name in ("clip", "t5") if name not in connected)
        return f"{told} Some are for a text encoder: connect {missing} to apply them."
    if len(names) == total:
        return f"{told} The file may be for a model other than FLUX.1, or in a format that ComfyUI cannot read."
    return f"{told} ComfyUI does not know these names, or this model does not have these weights."
