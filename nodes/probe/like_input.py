"""The input for what stands beside a prompt in a probe that makes its prompts itself. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io


def like_input(what: str):
    """`what` is who gets the extras."""
    return io.Conditioning.Input(
        "like", optional=True,
        tooltip=f"A CONDITIONING whose extras {what} gets: the picture of InpaintModelConditioning (Fill), "
        "InstructPixToPixConditioning (Canny, Depth) or ReferenceLatent (Kontext), ControlNets, masks, hooks. Its own "
        "prompt, Redux' rows among it, is not used. Fill, Canny and Depth need one; Kontext runs without one as dev "
        "does, without its picture.",
    )  # fmt: skip
