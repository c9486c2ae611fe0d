"""Checks a folder with FLUX.1's tokenizers, which need no model. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

from ..compat.memory import check_interrupted
from ..compat.text_encoders import clip_l_tokenizer, t5_tokenizer
from .checking import Check, check
from .folder import chosen, listed, shown
from .measure import Tokenizers
from .read import Found, gathered


def checked(root: Path, name: str, trigger: str, t5_length: int, text: str = "") -> Check:
    """The captions of a folder in `root`, and those of a text. Raises ValueError if there are none."""
    if text.strip() and not name.strip():
        return of(gathered(None, text), "the text", trigger, t5_length)
    folder = chosen(root, name)
    return of(gathered(listed(folder, root), text), shown(name.strip()), trigger, t5_length)


def of(found: Found, where: str, trigger: str, t5_length: int) -> Check:
    """Checks captions that have been read."""
    tokenizers = Tokenizers(clip_l_tokenizer(), t5_tokenizer(), t5_length)
    return check(found, where, trigger, tokenizers, check_interrupted)
