"""A study's prompts: parsed and encoded. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

from ...compat.text_encoders import CLIP
from ...encode.choices import EMBEDDING, FIRST
from ...encode.clip_prompt import encode_clip_prompt
from ...encode.encoding import encode_t5, t5_notes
from ...family import require_flux1
from ...keys import SAMPLES
from ...streams import ClipVec, T5Text
from ..grid.prompts import EMPTY, gathered
from .choices import NAME, PARTED

Pair = tuple[ClipVec, T5Text]


def pairs(text: str, file: Path | None) -> list[tuple[str, str]]:
    """(CLIP prompt, T5 prompt) of each prompt of a widget and of a file. Raises ValueError if there is none."""
    return [_parted(each) for each in gathered("", text, file, NAME)]


def _parted(prompt: str) -> tuple[str, str]:
    clip, parted, t5 = (each.strip() for each in prompt.partition(PARTED))
    clip, t5 = ("" if each == EMPTY else each for each in (clip, t5))
    return (clip, t5) if parted else (clip, clip)


def encoded(
    model, clip: CLIP, t5: CLIP, texts: list[tuple[str, str]], length: str, latent: dict
) -> tuple[list[Pair], Pair, list[str]]:
    """(each prompt's encodings, the empty prompt's, messages about text that is not read).

    Raises ValueError if the model is not FLUX.1, or for a LATENT with more than one picture.
    """
    require_flux1(model, NAME, wrapped=True)
    if len(latent[SAMPLES]) != 1:
        raise ValueError(f"{NAME}: got a LATENT with {len(latent[SAMPLES])} pictures, expected one.")
    vecs: dict[str, ClipVec] = {}
    txts: dict[str, T5Text] = {}
    notes = []
    for clip_text, t5_text in [*texts, ("", "")]:
        if clip_text not in vecs:
            vecs[clip_text], messages = encode_clip_prompt(clip, clip_text, FIRST)
            notes += messages
        if t5_text not in txts:
            txts[t5_text], cut = encode_t5(t5, t5_text, length, EMBEDDING)
            notes += t5_notes(t5, txts[t5_text], cut)
    return [(vecs[one], txts[other]) for one, other in texts], (vecs[""], txts[""]), notes
