"""Tokens of a prompt with their character offsets. Pure, on ComfyUI's tokenizers (comfy/sd1_clip.py, SDTokenizer).

ComfyUI splits a text at its weights and at `embedding:name`, tokenizes the parts one by one and fills chunks with them.
This module does the same, keeps offsets, and is several times faster; tests compare every token, weight and chunk with
ComfyUI's. ComfyUI's tokenizer is called only for parts that name a textual inversion. If a tokenizer has no folder of
embeddings, a textual inversion is treated as text, or left out, as in ComfyUI, if it is known not to exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from typing import NamedTuple

from .weights import Segment, escape, parse
from .words import Tokens, words_of

CHARACTER = re.compile(r"\\[()]|\0[\1\2]|.", re.DOTALL)  # an escape counts as one, also in ComfyUI's internal form


class Piece(NamedTuple):
    """A token: its id (None for a row of a textual inversion), and the offsets of its text in the user's text.

    Several tokens of one character have the same offsets. `chunk` is the number of CLIP-L's chunk of 75, 0 for T5.
    """

    id: int | None
    start: int
    end: int
    weight: float
    chunk: int = 0
    unknown: bool = False


class Ignored(NamedTuple):
    """An `embedding:name` without effect: it does not exist, or its row width `wide` is not the encoder's.

    `start` and `end` are its offsets in the user's text.
    """

    start: int
    end: int
    wide: int | None = None


@dataclass(frozen=True)
class Pieces(Sequence):
    """A sequence of Piece, stored in columns: building thousands of Pieces takes longer than tokenizing the text."""

    ids: list[int | None]
    starts: list[int]
    ends: list[int]
    weights: list[float]
    chunks: list[int]
    unknown: list[bool]
    ignored: tuple[Ignored, ...] = ()

    @property
    def columns(self) -> tuple[list, ...]:
        return self.ids, self.starts, self.ends, self.weights, self.chunks, self.unknown

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Piece]:
        return map(Piece, *self.columns)

    def __getitem__(self, at):
        made = Pieces if isinstance(at, slice) else Piece
        return made(*(column[at] for column in self.columns))


@dataclass(frozen=True)
class Part:
    """Text that is tokenized in one call, and its weight.

    `at` are the offsets of its characters, and of its end, in the user's text: a range, unless it has escapes.
    """

    text: str
    at: range | list[int]
    weight: float

    @classmethod
    def of(cls, source: str, segment: Segment) -> Part:
        if len(segment.text) == segment.end - segment.start:
            return cls(segment.text, range(segment.start, segment.end + 1), segment.weight)
        found = CHARACTER.finditer(source, segment.start, segment.end)
        return cls(segment.text, [*(character.start() for character in found), segment.end], segment.weight)

    def cut(self, start: int, end: int | None = None) -> Part:
        end = len(self.text) if end is None else end
        return Part(self.text[start:end], self.at[start : end + 1], self.weight)

    @property
    def begin(self) -> int:
        """The offset of the first character for tokens that are not yet `placed`."""
        return self.at.start if isinstance(self.at, range) else 0

    def placed(self, tokens: Tokens) -> TokenGroup:
        """Tokens of this text, with offsets in the user's text."""
        if isinstance(self.at, list):
            at = self.at
            tokens = Tokens(tokens.ids, [at[start] for start in tokens.starts], [at[end] for end in tokens.ends])
        return TokenGroup(tokens, self.weight)

    def whole(self, ids: list) -> TokenGroup:
        """Tokens that each have the offsets of the whole part."""
        return TokenGroup(Tokens(ids, [self.at[0]] * len(ids), [self.at[-1]] * len(ids)), self.weight)


class TokenGroup(NamedTuple):
    """Tokens that ComfyUI puts into chunks together: those of one part, or the rows of one textual inversion.

    `ignored` is a textual inversion without effect, before these tokens or with these rows.
    """

    tokens: Tokens
    weight: float
    ignored: Ignored | None = None


Exists = Callable[[str], bool]  # whether there is a textual inversion of this name


def pieces(tokenizer, text: str, weighted: bool = True, strict: bool = False, exists: Exists | None = None) -> Pieces:
    """The tokens of `text` in order, without start, end and pads.

    `tokenizer` is one encoder's, such as `clip.tokenizer.clip_l` or `.t5xxl`. Unless `weighted`, parentheses are text;
    `strict` is as in `parse`. `exists` is for a tokenizer without a folder of embeddings. Raises TooDeep as `parse`.
    """
    segments = parse(text, strict).segments if weighted else [Segment(0, len(text), text, 1.0)]
    parts = [part for segment in segments for part in _parts(tokenizer, Part.of(text, segment))]
    groups = list(_groups(tokenizer, parts, exists))
    ids, starts, ends = ([*chain.from_iterable(column)] for column in _columns(groups))
    counts = [len(group.tokens.ids) for group in groups]
    weights = _repeated([group.weight for group in groups], counts)
    ignored = tuple(group.ignored for group in groups if group.ignored)
    return Pieces(ids, starts, ends, weights, _chunks(tokenizer, counts), _unknown(tokenizer, ids), ignored)


def _columns(groups: list[TokenGroup]) -> Iterator[Iterator[list]]:
    return ((group.tokens[column] for group in groups) for column in range(len(Tokens._fields)))


def _repeated(values: Sequence, counts: list[int]) -> list:
    return [*chain.from_iterable(map(repeat, values, counts))]


def _parts(tokenizer, part: Part) -> Iterator[Part]:
    """A segment, split before each `embedding:` after white space, as in ComfyUI."""
    sign = _sign(tokenizer)
    if sign not in part.text:
        yield part
        return
    starts = [0, *(match.start() for match in re.finditer(r"(?<=\s)" + re.escape(sign), part.text))]
    for start, end in zip(starts, [*starts[1:], len(part.text)], strict=True):
        yield part.cut(start, end)


def _sign(tokenizer) -> str:
    return tokenizer.embedding_identifier


def _groups(tokenizer, parts: list[Part], exists: Exists | None) -> Iterator[TokenGroup]:
    sign, has_folder = _sign(tokenizer), tokenizer.embedding_directory is not None
    for part, tokens in zip(parts, _tokens(tokenizer, parts), strict=True):
        named = _Named.of(part, sign) if part.text.startswith(sign) else None
        if named and has_folder:
            yield from _with_inversion(tokenizer, named)
        elif named and exists and not any(map(exists, named.names)):
            yield from _after(tokenizer, named, _ids(tokenizer, named.left), missing=True)
        else:
            yield part.placed(tokens)


def _tokens(tokenizer, parts: list[Part]) -> list[Tokens]:
    return words_of(tokenizer).tokens([part.text for part in parts], [part.begin for part in parts])


class _Named(NamedTuple):
    """A part that begins with `embedding:name`, split after it by ComfyUI's rules (sd1_clip.py, `_try_get_embedding`).

    `names` are the possible file names; `left` is the text that ComfyUI continues with if there is no such file.
    """

    name: Part
    rest: Part
    names: tuple[str, ...]
    left: str

    @classmethod
    def of(cls, part: Part, sign: str) -> _Named | None:
        """None if no name follows."""
        first, *others = part.text[len(sign) :].split() or [""]
        if not first:
            return None
        found = re.match(r"[^<\[]*", first)[0]
        left = " ".join([first[len(found) :], *others] if found != first else others)
        bare = found.strip(",")
        if bare != found:
            left = f"{found[len(bare) :]} {left}"
        end = part.text.index(first, len(sign)) + len(found.rstrip(","))
        return cls(part.cut(0, end), part.cut(end), tuple(dict.fromkeys((found, bare))), left)


def _with_inversion(tokenizer, named: _Named) -> Iterator[TokenGroup]:
    """The rows of `embedding:name`, if the file exists, and the tokens after them, both from ComfyUI."""
    native = _native(tokenizer, named.name.text + named.rest.text)
    rows = native[0] if native and not isinstance(native[0][0], int) else None
    if rows is not None:
        group, wide = named.name.whole([None] * len(rows)), rows[0].shape[-1]
        yield group if wide == tokenizer.embedding_size else group._replace(ignored=_ignored(named, wide))
    following = native[rows is not None :]
    yield from _after(tokenizer, named, following[0] if following else (), missing=rows is None)


def _after(tokenizer, named: _Named, ids: Sequence[int] = (), missing: bool = False) -> Iterator[TokenGroup]:
    """The tokens `ids` of the text after `embedding:name`.

    ComfyUI may tokenize it differently from the text as written; then each token gets the offsets of the whole text.
    """
    name, rest = named.name, named.rest
    (tokens,) = _tokens(tokenizer, [rest])
    ids = list(ids)
    group = rest.placed(tokens) if tokens.ids == ids else (rest if rest.text else name).whole(ids)
    yield group._replace(ignored=_ignored(named) if missing else None)


def _ignored(named: _Named, wide: int | None = None) -> Ignored:
    return Ignored(named.name.at[0], named.name.at[-1], wide)


def _ids(tokenizer, text: str) -> list[int]:
    (tokens,) = words_of(tokenizer).tokens([text], [0])
    return tokens.ids


def _native(tokenizer, text: str) -> list[list]:
    """ComfyUI's tokens of a part in groups: ids, or rows of a textual inversion."""
    batches = tokenizer.tokenize_with_weights(escape(text), return_word_ids=True)
    tokens = [(group, token) for batch in batches for token, _, group in batch if group]  # 0: start, end and pads
    return [[token for _, token in same] for _, same in groupby(tokens, key=lambda token: token[0])]


def _chunks(tokenizer, counts: list[int]) -> list[int]:
    """The chunk of each token, for groups of `counts` tokens: a short group is not split over chunks, a long one is."""
    room = tokenizer.max_length - (tokenizer.start_token is not None) - (tokenizer.end_token is not None)
    chunks, chunk, left = [], 0, room
    for count in counts:
        is_long = count >= tokenizer.max_word_length
        while count > left:
            if is_long:
                chunks += [chunk] * left
                count -= left
            chunk, left = chunk + 1, room
        chunks += [chunk] * count
        left -= count
    return chunks


def _unknown(tokenizer, ids: list[int | None]) -> list[bool]:
    unknown = tokenizer.tokenizer.unk_token_id
    # CLIP's unknown token is its end token, which no text produces.
    if unknown == tokenizer.end_token or unknown not in ids:
        return [False] * len(ids)
    return [token == unknown for token in ids]
