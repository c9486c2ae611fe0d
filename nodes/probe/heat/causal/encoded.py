"""The T5 prompt encoded without each chosen word. Imports ComfyUI."""

from __future__ import annotations

from torch import Tensor

from ....compat.text_encoders import CLIP
from ....encode.encoding import encode_t5_chunks
from ....encode.tokens.lengths import T5_PAD, Tokens
from ....streams import T5Text
from ..choices import CAUSAL
from ..left_out import tokens_of, without
from ..selection import Wanted
from .entries import LeftOut

CLOSE = 0.01  # of the rows' length: encodings that differ by less are of one T5


def left_out(clip: CLIP | None, txt: T5Text, wanted: Wanted) -> list[LeftOut]:
    """For each wanted word the prompt without it, everywhere where it stands.

    Raises ValueError for a txt that cannot be encoded again, and for a CLIP that encodes it as other rows.
    """
    tokens = tokens_of(clip, txt, CAUSAL)
    text, again = txt.spans[0].tensor, _encoded(clip, tokens)
    if len(wanted.texts) > 1 or again.shape != text[:1].shape or _difference(again, text[:1]) > CLOSE:
        raise ValueError(
            "Token Heatmap: the T5 at `clip` encodes this prompt differently from the one at `txt`, so the "
            "effect of a word cannot be measured. Connect the CLIP that encoded the prompt, with its LoRAs."
        )
    pads = sum(token == T5_PAD for token, *_ in tokens if isinstance(token, int))
    return [_left_out(clip, tokens, text[:1], pads, word, wanted.rows(number).tolist())
            for number, word in enumerate(wanted.words)]  # fmt: skip


def _left_out(clip: CLIP, tokens: Tokens, text: Tensor, pads: int, word: str, gone: list[int]) -> LeftOut:
    """As Word Ablation has it: encoded with as many rows, which are then cut, so that no pad takes the word's place."""
    rows = without(tokens, gone)
    # A prompt that fills all rows gets no pads.
    again = _encoded(clip, rows if pads else rows[: len(tokens) - len(gone)])[:, : len(tokens) - len(gone)]
    return LeftOut(word, text, len(tokens) - pads, tuple(gone), again)


def _encoded(clip: CLIP, tokens: Tokens) -> Tensor:
    return encode_t5_chunks(clip, [tokens])[0].tensor


def _difference(some: Tensor, others: Tensor) -> float:
    return float((some - others.to(some)).float().norm() / some.float().norm().clamp_min(1e-12))
