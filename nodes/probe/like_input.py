"""The `like` input of probes that encode prompts themselves: a CONDITIONING to copy extras from. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io


def like_input(what: str):
    """`what` names in the tooltip who gets the extras, such as "every cell"."""
    return io.Conditioning.Input(
        "like", optional=True,
        tooltip=f"A CONDITIONING whose extras {what} gets: pictures of Fill, Canny, Depth or Kontext, ControlNets, "
        "masks, hooks. Its own prompt is not used. Fill, Canny and Depth models need one; Kontext runs as dev does "
        "without one.",
    )  # fmt: skip
