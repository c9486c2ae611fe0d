"""Text -> stream, by one half of any CLIP. Imports ComfyUI.

A CLIP may hold both encoders (DualCLIPLoader, a checkpoint) or one (ours). Either way only the wanted half is run,
through ComfyUI's own `encode_from_tokens_scheduled`, so that LoRAs, hooks and layer settings act as they do natively.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..compat import patches
from ..compat.text_encoders import (
    CLIP,
    encoder_of,
    model_of,
    patcher_of,
    read_unmasked,
    tokenizer_name,
    tokenizer_of,
    tokenizer_options,
    with_model,
)
from ..flux1_sizes import T5_ROWS
from ..keys import CLIP_L, POOLED, T5XXL, TOKENS
from ..quoting import shorten
from ..streams import ClipVec, Source, Span, T5Text
from .choices import ATTENTION, EMBEDDING, OFF
from .embeddings.cached import fingerprint, remembered
from .tokens import weights
from .tokens.inspection import PromptReading, has_inversion, read_by_clip, read_by_t5
from .tokens.lengths import COMFYUI, LENGTHS, T5_PAD, T5_UNKNOWN, Tokens, cut, unweighted

_TITLES = {CLIP_L: "CLIP-L", T5XXL: "T5"}
# FLUX.1's own T5 tokenizer pads to so many rows and no more; CLIPs made for other models pad otherwise.
_FLUX_PADDING = {"t5xxl_min_length": T5_ROWS, "t5xxl_min_padding": None}


@dataclass(frozen=True)
class Cut:
    """What an encoder did not read: token counts, and the text that was left out."""

    reader: str
    total: int
    kept: int
    text: str

    def __str__(self):
        return f"{self.reader} reads {self.kept} of {self.total} tokens. Not read: {shorten(self.text, 300)}"


def encode_clip(clip: CLIP, text: str) -> ClipVec:
    """`text` -> vec [1, 768] for FLUX.1: CLIP-L's final state at the end token, not projected.

    As natively, only the first 75 tokens count, and weights do nothing. T5 is neither run nor moved.
    """
    return encode_clip_chunks(clip, clip_chunks(clip, text))


def clip_chunks(clip: CLIP, text: str) -> list[Tokens]:
    """The text's tokens, in chunks of 75 (Long-CLIP: 246) between a start and an end token."""
    _require(clip, CLIP_L)
    return _tokens(clip, text, CLIP_L)


def encode_clip_chunks(clip: CLIP, chunks: list[Tokens]) -> ClipVec:
    """`encode_clip` of a text that is tokenized already."""
    half = _half(clip, CLIP_L)

    def encode() -> tuple[Span, ...]:
        entries = half.encode_from_tokens_scheduled({TOKENS[CLIP_L]: chunks}, unprojected=True)
        return tuple(Span(entry.pop(POOLED), entry) for _, entry in entries)

    return ClipVec(remembered(clip, CLIP_L, chunks, encode))


def encode_t5(clip: CLIP, text: str, length: str = COMFYUI, mode: str = EMBEDDING) -> tuple[T5Text, Cut | None]:
    """`text` -> txt [1, L, 4096] for FLUX.1, without an attention mask, and what was cut away, if anything was.

    `length` is a key of LENGTHS; `mode`, one of MODES, is how weights like `(word:1.3)` act. Text without
    parentheses that weight_number.py refuses goes to ComfyUI's tokenizer as it is.
    """
    half, given = _half(clip, T5XXL), text
    rule = LENGTHS[length]
    padding = {**_FLUX_PADDING, **tokenizer_options(clip)}
    if rule.minimum is not None:
        padding.update(t5xxl_min_length=rule.minimum, t5xxl_min_padding=None)
    text = weights.escape(text) if mode == OFF else weights.parse(text).native
    chunks = _tokens(clip, text, T5XXL, tokenizer_options=padding)
    kept = [cut(chunk, rule.limit) for chunk in chunks]
    read, bias = [chunk for chunk, _ in kept], None
    source = source_of(clip, T5XXL, given, read, {"length": length, "weights": mode})
    if mode == ATTENTION:
        read, bias = _to_attention(read)

    def encode() -> tuple[Span, ...]:
        entries = half.encode_from_tokens_scheduled({TOKENS[T5XXL]: read})
        # The pooled output is always None: T5 has none.
        return tuple(Span(txt, {key: value for key, value in entry.items() if key != POOLED}) for txt, entry in entries)

    spans = remembered(clip, T5XXL, read, encode)
    return T5Text(tuple(replace(span, bias=bias) for span in spans), source), _report(clip, chunks, kept)


def source_of(clip: CLIP, name: str, text: str, chunks: list[Tokens], settings: dict[str, str]) -> Source:
    """Where an encoding comes from: its text, tokens, settings and encoder."""
    tokens = [
        [(token if isinstance(token, int) else "embedding", weight) for token, weight in chunk] for chunk in chunks
    ]
    return Source(text, tokens, settings, fingerprint(clip, name))


def _to_attention(chunks: list[Tokens]) -> tuple[list[Tokens], Tensor | None]:
    """Tokens at weight 1, and what their weights add to the attention [1, L]; nothing where all were 1."""
    given = [weight for chunk in chunks for _, weight in chunk]
    if all(weight == 1.0 for weight in given):
        return chunks, None
    return unweighted(chunks), weights.bias(given)


def _report(clip, chunks: list[Tokens], kept: list[tuple[Tokens, Tokens]]) -> Cut | None:
    lost = [token for _, rest in kept for token, *_ in rest]
    if not lost:
        return None
    counts = sum(map(len, chunks)), sum(len(chunk) for chunk, _ in kept)
    return Cut(_TITLES[T5XXL], *counts, said(clip, lost, T5XXL))


def t5_rows(txt: T5Text) -> str:
    """How many rows a freshly encoded prompt has, and how many of them only fill it up."""
    ids = [token for chunk in txt.source.tokens for token, _ in chunk]
    pads = ids.count(T5_PAD)
    return f"T5: {len(ids) - pads} tokens with the end token, {pads} pads"


def t5_told(clip: CLIP, txt: T5Text, cut: Cut | None) -> list[str]:
    """All there is to tell of a freshly encoded T5 prompt, in sentences.

    What `encode_t5` cut away, what T5 has no token for, textual inversions without an effect, and weights.
    """
    text, mode = txt.source.text, txt.source.settings["weights"]
    tokenizer, told = tokenizer_of(clip, T5XXL), [str(cut)] if cut else []
    is_known = all(token != T5_UNKNOWN for chunk in txt.source.tokens for token, _ in chunk)
    if not is_known or has_inversion(tokenizer, text):
        told += read_by_t5(tokenizer, text, COMFYUI, mode != OFF).notes()
    return told + weights.t5_notes(weights.parse(text), mode)


def clip_told(clip: CLIP, text: str, weighted: bool) -> list[str]:
    """Which textual inversions in a CLIP prompt have no effect, in sentences."""
    tokenizer = tokenizer_of(clip, CLIP_L)
    return list(read_by_clip(tokenizer, text, weighted).ignored()) if has_inversion(tokenizer, text) else []


def said(clip: CLIP, ids: list, name: str) -> str:
    """Tokens as text, but for textual inversions, which have none."""
    return tokenizer_of(clip, name).tokenizer.decode([token for token in ids if isinstance(token, int)])


def inspect(clip: CLIP, text: str, length: str = COMFYUI) -> list[PromptReading]:
    """What each stream that the CLIP has reads of a text. Nothing is run.

    Raises ValueError for a CLIP that tokenizes for neither.
    """
    clip_l, t5 = tokenizer_of(clip, CLIP_L), tokenizer_of(clip, T5XXL)
    readings = [read_by_clip(clip_l, text)] if clip_l else []
    readings += [read_by_t5(t5, text, length)] if t5 else []
    if not readings:
        raise ValueError(
            f"Prompt Inspector: this CLIP's {tokenizer_name(clip)} tokenizes neither for CLIP-L nor for T5. "
            "Connect Load CLIP-L, Load T5, or DualCLIPLoader with type flux."
        )
    return readings


def _tokens(clip, text: str, name: str, **options) -> list[Tokens]:
    try:
        tokens = clip.tokenize(text, **options)
    except IndexError as error:  # how ComfyUI ends at an `embedding:` with nothing behind it
        if not has_inversion(tokenizer_of(clip, name), text):
            raise
        raise ValueError("Got `embedding:` without a name, expected one, such as embedding:style.") from error
    if TOKENS[name] not in tokens:
        raise ValueError(f"This CLIP tokenizes for {sorted(tokens)}, expected '{TOKENS[name]}' for {_TITLES[name]}.")
    return tokens[TOKENS[name]]


def _half(clip: CLIP, name: str) -> CLIP:
    """A stand-in for `clip` that runs the one encoder; weights, patches and hooks are shared with it."""
    _require(clip, name)
    return with_model(clip, _OneEncoder(encoder_of(clip, name), name), lambda: _load(clip, name))


def _require(clip: CLIP, name: str) -> None:
    """Raises ValueError where the CLIP does not hold that encoder."""
    if clip is None:
        raise ValueError(
            f"Got no CLIP, expected one that holds {_TITLES[name]}; a checkpoint without text encoders gives none."
        )
    if encoder_of(clip, name) is None:
        held = [title for key, title in _TITLES.items() if encoder_of(clip, key) is not None]
        raise ValueError(
            f"This CLIP holds no {_TITLES[name]}, but {' and '.join(held) or type(model_of(clip)).__name__}. Connect "
            f"one that does: Load {_TITLES[name]}, or DualCLIPLoader with type flux."
        )


class _OneEncoder:
    """Stands where a CLIP expects its model, and answers for one of the encoders in it, read as FLUX.1 reads it."""

    def __init__(self, encoder, name: str):
        # FLUX.1 masks nothing; T5s that came with other models' settings do.
        self.encoder = read_unmasked(encoder)
        self.name = name

    def reset_clip_options(self):
        self.encoder.reset_clip_options()

    def set_clip_options(self, options):
        self.encoder.set_clip_options(options)

    def encode_token_weights(self, tokens):
        return self.encoder.encode_token_weights(tokens[TOKENS[self.name]])


def _load(clip, name: str):
    """Make one encoder's weights usable on the device; for CLIP-L, 2.5 % of a dual CLIP, T5's stay where they are."""
    patcher = patcher_of(clip)
    shared = name == CLIP_L and encoder_of(clip, T5XXL) is not None
    moves = patches.load_device(patcher) != patches.offload_device(patcher) and not patches.is_dynamic(patcher)
    if not (shared and moves):
        return clip.load_model()  # on one device, or under DynamicVRAM, nothing is moved before it is used
    patches.load_on_use(patcher)
    return patcher
