"""The tokens of a T5 prompt, and the same without a word. Imports ComfyUI."""

from __future__ import annotations

from collections.abc import Collection

from ...compat.text_encoders import CLIP
from ...encode.choices import ATTENTION
from ...encode.encoding import t5_chunks
from ...encode.tokens.lengths import T5_PAD, Tokens, unweighted
from ...streams import T5Text


def tokens_of(clip: CLIP | None, txt: T5Text, measure: str) -> Tokens:
    """The tokens that T5 reads of a txt's text, with pads, and with the weights that act in T5.

    Raises ValueError for no CLIP, for a txt that is not the encoding of one text, and if the CLIP reads other tokens.
    """
    source = txt.source
    if clip is None:
        raise ValueError(
            f"Token Heatmap: the measure {measure!r} encodes the T5 prompt again without a word, so it needs T5. "
            "Connect the CLIP of T5 Encode to `clip`."
        )
    if source is None or source.parts or not {"length", "weights"} <= source.settings.keys():
        raise ValueError(
            f"Token Heatmap: the measure {measure!r} encodes the T5 prompt again without a word, so it needs one text: "
            "the output of T5 Encode or Load Embedding, not a blend of two prompts."
        )
    mode = source.settings["weights"]
    (kept,), _ = t5_chunks(clip, source.text, source.settings["length"], mode)
    read = [(token if isinstance(token, int) else "embedding", weight) for token, weight in kept]
    if read != [tuple(each) for chunk in source.tokens for each in chunk]:
        raise ValueError(
            "Token Heatmap: the T5 at `clip` splits the text into other tokens than the T5 prompt at `txt`. Connect "
            "the CLIP that encoded the prompt."
        )
    return unweighted([kept])[0] if mode == ATTENTION else kept


def without(tokens: Tokens, rows: Collection[int]) -> Tokens:
    """The tokens without those at `rows`, with as many more pads at the end."""
    return [*(each for row, each in enumerate(tokens) if row not in rows), *[(T5_PAD, 1.0)] * len(rows)]
