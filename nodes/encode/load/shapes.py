"""Whether the tensors of a model file fit each other, told by their shapes before anything is built of them. Pure.

Each tensor's dimensions have names ("width", "heads", ...). A name's size is the one that most tensors give it, so that
where one tensor is wrong, that one is named, and not those that it does not fit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
Dims = Mapping[str, tuple[str | int, ...]]

PACKED = ".comfy_quant"  # beside a matrix whose columns a quantised layout may have packed


class BadFile(ValueError):
    """A model file that cannot be used, in words for the user: its name, what came, what was expected, what to do."""

    # ComfyUI shows a user the type of an error with its module, which for ours is the path of this file.
    __module__, __qualname__ = "builtins", "ValueError"


def fitted(shapes: Shapes, dims: Dims, filename: str) -> dict[str, int]:
    """The size of each name in `dims`, which tells the dimensions of all tensors that have to be in the file.

    A whole number in `dims` is a size that has to be just that. Raises BadFile where a tensor does not fit.
    """
    votes: dict[str | int, Counter] = defaultdict(Counter)
    for key, names in dims.items():
        if len(shapes[key]) == len(names):
            for name, size in _told(shapes, key, names):
                votes[name][size] += 1
    sizes = {name: each.most_common(1)[0][0] for name, each in votes.items() if isinstance(name, str)}
    wrong = [key for key, names in dims.items() if not _fits(shapes, key, names, sizes)]
    if wrong:
        expected = ", ".join(str(sizes.get(str(name), name)) for name in dims[wrong[0]])
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise BadFile(
            f"{filename} holds tensors that do not fit each other: {wrong[0]} has the shape {list(shapes[wrong[0]])}, "
            f"expected [{expected}]{more}. It is damaged, or put together from several files; download it again."
        )
    return sizes


def _fits(shapes: Shapes, key: str, names: tuple[str | int, ...], sizes: Mapping[str, int]) -> bool:
    if len(shapes[key]) != len(names) or 0 in shapes[key]:
        return False
    return all(size == sizes.get(name, name) for name, size in _told(shapes, key, names))


def _told(shapes: Shapes, key: str, names: tuple[str | int, ...]):
    """(name, size) of the dimensions that a tensor tells: a packed matrix tells its rows alone."""
    count = 1 if key.removesuffix(".weight") + PACKED in shapes else len(names)
    return list(zip(names, shapes[key], strict=True))[:count]
