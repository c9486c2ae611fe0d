"""What the schemas of the nodes that show word maps share. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from .choices import HARD, SOFT


def masks_input():
    return io.Combo.Input(
        "masks", options=[SOFT, HARD], default=SOFT, optional=True,
        tooltip="soft: 0 where the word acts least, 1 where it acts most. hard: only 0 or 1, split by Otsu's "
        "threshold.",
    )  # fmt: skip


def word_input():
    return io.String.Input(
        "word", default="", optional=True,
        tooltip="The word for the output `mask`. Click a word on the node to choose it. Empty: the first word.",
    )  # fmt: skip


def heatmap_outputs():
    """What Show Heatmap draws, and the maps as masks and numbers."""
    return [
        io.Image.Output(
            "picture", display_name="picture", tooltip="A tile for each word; a sheet for each picture of a "
            "batch.",
        ),
        io.Mask.Output(
            "masks_out", display_name="masks",
            tooltip="One mask for each word, in the order of `words`. For a batch: all masks of the first picture, "
            "then all of the second.",
        ),
        io.String.Output("words_out", display_name="words", tooltip="The words, one per line."),
        io.String.Output("json", display_name="json",
                         tooltip="Shares of the words, the padding and the rest, and the settings."),
        io.Mask.Output("mask_out", display_name="mask", tooltip="The mask of `word`, one for each picture."),
    ]  # fmt: skip
