"""What the schemas of the nodes that show word maps share. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from .choices import HARD, SOFT


def masks_input():
    return io.Combo.Input(
        "masks", options=[SOFT, HARD], default=SOFT, optional=True,
        tooltip="soft: from 0 where the word has least to 1 where it has most. hard: 0 or 1, by Otsu's threshold.",
    )  # fmt: skip


def word_input():
    return io.String.Input(
        "word", default="", optional=True,
        tooltip="The word whose map is the output `mask`; click a word below to choose it. Empty: the first word.",
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
            tooltip="One for each word, in the order of `words`; of a batch, all of the first picture's, then "
            "all of the second's.",
        ),
        io.String.Output("words_out", display_name="words", tooltip="The words, one a line."),
        io.String.Output("json", display_name="json", tooltip="Shares of words, pads and the rest; settings."),
        io.Mask.Output("mask_out", display_name="mask", tooltip="That of `word` alone, one for each picture."),
    ]  # fmt: skip
