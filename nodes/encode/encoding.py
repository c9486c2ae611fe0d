"""Text -> stream, with one encoder of any CLIP. Imports ComfyUI.

A CLIP may hold both encoders (DualCLIPLoader, a checkpoint) or one (our loaders). Only the required encoder is run,
through ComfyUI's own `encode_from_tokens_scheduled`, so that LoRAs, hooks and layer settings act as they do natively.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..compat import patches
from ..compat.text_encoders import (
    CLIP,
    encoder_of,
    is_clip,
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
from .tokens.inspection import LONGEST, PromptReading, has_inversion, read_by_clip, read_by_t5, untrained
from .tokens.lengths import COMFYUI, LENGTHS, T5_UNKNOWN, Tokens, cut, unweighted

_TITLES = {CLIP_L: "CLIP-L", T5XXL: "T5"}
# FLUX.1's T5 tokenizer pads to this number of rows; CLIPs for other models pad differently.
_FLUX_PADDING = {"t5xxl_min_length": T5_ROWS, "t5xxl_min_padding": None}


@dataclass(frozen=True)
class Cut:
    """What an encoder (`reader`, its name) did not read: tokens in total and kept, and the text that was cut off."""

    reader: str
    total: int
    kept: int
    text: str

    def __str__(self):
        return f"{self.reader} reads {self.kept} of {self.total} tokens. Not read: {shorten(self.text, 300)}"


def encode_clip(clip: CLIP, text: str) -> ClipVec:
    """`text` -> vec [1, 768] for FLUX.1: CLIP-L's final state at the end token, not projected.

    As in ComfyUI, only the first 75 tokens are used, and weights have no effect. T5 is neither run nor moved. Raises
    ValueError for a CLIP without CLIP-L.
    """
    return encode_clip_chunks(clip, clip_chunks(clip, text))


def clip_chunks(clip: CLIP, text: str) -> list[Tokens]:
    """The text's tokens, in chunks of 75 (Long-CLIP: 246), each with a start and an end token.

    Raises ValueError for a CLIP without CLIP-L.
    """
    _require(clip, CLIP_L)
    return _tokens(clip, text, CLIP_L)


def encode_clip_chunks(clip: CLIP, chunks: list[Tokens]) -> ClipVec:
    """`encode_clip` of a tokenized text."""
    half = _half(clip, CLIP_L)

    def encode() -> tuple[Span, ...]:
        entries = half.encode_from_tokens_scheduled({TOKENS[CLIP_L]: chunks}, unprojected=True)
        return tuple(Span(entry.pop(POOLED), entry) for _, entry in entries)

    return ClipVec(remembered(clip, CLIP_L, chunks, encode))


def encode_t5(clip: CLIP, text: str, length: str = COMFYUI, mode: str = EMBEDDING) -> tuple[T5Text, Cut | None]:
    """`text` -> (txt [1, L, 4096] for FLUX.1, without an attention mask; what was cut off, None for nothing).

    `length` is a key of LENGTHS. `mode`, one of MODES, is how weights like `(word:1.3)` act; parentheses that
    weight_number.py rejects are escaped before ComfyUI tokenizes the text. Raises ValueError for a CLIP without T5.
    """
    kept, lost = t5_chunks(clip, text, length, mode)
    read, bias = kept, None
    source = source_of(clip, T5XXL, text, read, {"length": length, "weights": mode})
    if mode == ATTENTION:
        read, bias = _to_attention(read)

    spans = tuple(replace(span, bias=bias) for span in encode_t5_chunks(clip, read))
    return T5Text(spans, source), _report(clip, kept, lost)


def encode_t5_chunks(clip: CLIP, chunks: list[Tokens]) -> tuple[Span, ...]:
    """`encode_t5` of a tokenized text."""
    half = _half(clip, T5XXL)

    def encode() -> tuple[Span, ...]:
        entries = half.encode_from_tokens_scheduled({TOKENS[T5XXL]: chunks})
        # T5 has no pooled output: it is always None.
        return tuple(Span(txt, {key: value for key, value in entry.items() if key != POOLED}) for txt, entry in entries)

    return remembered(clip, T5XXL, chunks, encode)


def t5_chunks(clip: CLIP, text: str, length: str, mode: str) -> tuple[list[Tokens], list[Tokens]]:
    """(the text's tokens that T5 reads, with pads and weights; those cut off), as of `encode_t5`.

    T5 has one chunk. Raises ValueError for a CLIP without T5.
    """
    _require(clip, T5XXL)
    rule = LENGTHS[length]
    padding = {**_FLUX_PADDING, **tokenizer_options(clip)}
    if rule.minimum is not None:
        padding.update(t5xxl_min_length=rule.minimum, t5xxl_min_padding=None)
    text = weights.escape(text) if mode == OFF else weights.parse(text).native
    parts = [cut(chunk, rule.limit) for chunk in _tokens(clip, text, T5XXL, tokenizer_options=padding)]
    return [kept for kept, _ in parts], [lost for _, lost in parts]


def t5_together(clip: CLIP, chunks: list[Tokens]) -> Tensor:
    """txt [N, L, 4096] of N lists of L tokens each, in one run of T5.

    Raises ValueError for a CLIP with scheduled hooks, which encodes a text once for each part of the run.
    """
    entries = _half(clip, T5XXL).encode_from_tokens_scheduled({TOKENS[T5XXL]: chunks})
    if len(entries) > 1:
        raise ValueError("Got a CLIP with scheduled hooks, expected one that encodes a text once for the whole run.")
    return entries[0][0].unflatten(1, (len(chunks), -1))[0]


def source_of(clip: CLIP, name: str, text: str, chunks: list[Tokens], settings: dict[str, str]) -> Source:
    """The source of an encoding, without tensors; `name` is the encoder's attribute in the CLIP's model."""
    tokens = [
        [(token if isinstance(token, int) else "embedding", weight) for token, weight in chunk] for chunk in chunks
    ]
    return Source(text, tokens, settings, fingerprint(clip, name))


def _to_attention(chunks: list[Tokens]) -> tuple[list[Tokens], Tensor | None]:
    """Tokens at weight 1, and the bias [1, L] from their weights; (chunks, None) if all weights are 1."""
    given = [weight for chunk in chunks for _, weight in chunk]
    if all(weight == 1.0 for weight in given):
        return chunks, None
    return unweighted(chunks), weights.bias(given)


def _report(clip, kept: list[Tokens], lost: list[Tokens]) -> Cut | None:
    missing = [token for rest in lost for token, *_ in rest]
    if not missing:
        return None
    count = sum(map(len, kept))
    return Cut(_TITLES[T5XXL], count + len(missing), count, decoded(clip, missing, T5XXL))


def t5_notes(clip: CLIP, txt: T5Text, cut: Cut | None) -> list[str]:
    """Notes for the user on a freshly encoded T5 prompt, one sentence each.

    They are about text that was cut off, characters without a token, textual inversions without effect, more tokens
    than FLUX.1 was trained on, and weights.
    """
    text, mode = txt.source.text, txt.source.settings["weights"]
    tokenizer, notes = tokenizer_of(clip, T5XXL), [str(cut)] if cut else []
    is_known = all(token != T5_UNKNOWN for chunk in txt.source.tokens for token, _ in chunk)
    if not is_known or has_inversion(tokenizer, text):
        notes += read_by_t5(tokenizer, text, COMFYUI, mode != OFF).notes()
    rows = sum(map(len, txt.source.tokens))
    if rows > LONGEST:
        notes.append(untrained(rows))
    return notes + weights.t5_notes(weights.parse(text), mode)


def inversion_notes(clip: CLIP, text: str, weighted: bool) -> list[str]:
    """Notes on textual inversions without effect in a CLIP prompt, one sentence each."""
    tokenizer = tokenizer_of(clip, CLIP_L)
    return list(read_by_clip(tokenizer, text, weighted).ignored()) if has_inversion(tokenizer, text) else []


def decoded(clip: CLIP, ids: list, name: str) -> str:
    """Tokens as text; rows of textual inversions are left out."""
    return tokenizer_of(clip, name).tokenizer.decode([token for token in ids if isinstance(token, int)])


def inspect(clip: CLIP, text: str, length: str = COMFYUI) -> list[PromptReading]:
    """How each encoder of the CLIP tokenizes a text. No encoder is run.

    Raises ValueError for what is no CLIP, or has no tokenizer for CLIP-L or T5.
    """
    _require_clip(clip, "one with CLIP-L or T5")
    clip_l, t5 = tokenizer_of(clip, CLIP_L), tokenizer_of(clip, T5XXL)
    readings = [read_by_clip(clip_l, text)] if clip_l else []
    readings += [read_by_t5(t5, text, length)] if t5 else []
    if not readings:
        raise ValueError(
            f"Prompt Inspector: this CLIP's {tokenizer_name(clip)} has no tokenizer for CLIP-L or T5. "
            "Connect Load CLIP-L, Load T5, or DualCLIPLoader with type flux."
        )
    return readings


def _tokens(clip, text: str, name: str, **options) -> list[Tokens]:
    try:
        tokens = clip.tokenize(text, **options)
    except IndexError as error:  # ComfyUI's error for `embedding:` without a name
        if not has_inversion(tokenizer_of(clip, name), text):
            raise
        raise ValueError("Got `embedding:` without a name, expected one, such as embedding:style.") from error
    if TOKENS[name] not in tokens:
        raise ValueError(f"This CLIP tokenizes for {sorted(tokens)}, expected '{TOKENS[name]}' for {_TITLES[name]}.")
    return tokens[TOKENS[name]]


def _half(clip: CLIP, name: str) -> CLIP:
    """A shallow copy of `clip` that runs one encoder only; weights, patches and hooks are shared with `clip`."""
    _require(clip, name)
    return with_model(clip, _OneEncoder(encoder_of(clip, name), name), lambda: _load(clip, name))


def _require(clip: CLIP, name: str) -> None:
    """Raises ValueError if the CLIP does not have this encoder."""
    _require_clip(clip, f"one with {_TITLES[name]}")
    if encoder_of(clip, name) is None:
        held = [title for key, title in _TITLES.items() if encoder_of(clip, key) is not None]
        raise ValueError(
            f"This CLIP has no {_TITLES[name]}, only {' and '.join(held) or type(model_of(clip)).__name__}. Connect "
            f"Load {_TITLES[name]}, or DualCLIPLoader with type flux."
        )


def _require_clip(clip: CLIP, expected: str) -> None:
    """Raises ValueError for what is no CLIP: nothing, or a constant that an API prompt has in place of a link."""
    if clip is None:
        raise ValueError(
            f"Got no CLIP, expected {expected}. The checkpoint may have no text encoders: connect a text encoder's "
            "loader."
        )
    if not is_clip(clip):
        raise ValueError(
            f"Got {shorten(repr(clip), 40)} as `clip`, expected {expected}. Connect a text encoder's loader."
        )


class _OneEncoder:
    """Replaces a CLIP's model by one of its encoders, with FLUX.1's settings."""

    def __init__(self, encoder, name: str):
        # FLUX.1 uses no masks; T5s from other models' CLIPs may.
        self.encoder = read_unmasked(encoder)
        self.name = name

    def reset_clip_options(self):
        self.encoder.reset_clip_options()

    def set_clip_options(self, options):
        self.encoder.set_clip_options(options)

    def encode_token_weights(self, tokens):
        return self.encoder.encode_token_weights(tokens[TOKENS[self.name]])


def _load(clip, name: str):
    """Makes one encoder's weights usable on the device; for CLIP-L (2.5 % of a dual CLIP) T5's are not moved."""
    patcher = patcher_of(clip)
    shared = name == CLIP_L and encoder_of(clip, T5XXL) is not None
    moves = patches.load_device(patcher) != patches.offload_device(patcher) and not patches.is_dynamic(patcher)
    if not (shared and moves):
        return clip.load_model()  # on one device, or with DynamicVRAM, no weight is moved before it is used
    patches.load_on_use(patcher)
    return patcher
