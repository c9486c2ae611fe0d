"""Checks that the shapes of a model file's tensors are consistent, before a model is built. Pure.

Each tensor's dimensions have names ("width", "heads", ...). The size of a name is the one that most tensors have, so
that the error names the tensor that is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
Dims = Mapping[str, tuple[str | int, ...]]

PACKED = ".comfy_quant"  # suffix of the tensor that marks a quantised layer, whose columns may be packed


class BadFile(ValueError):
    """A model file that cannot be used. The message has the file's name, what was found and expected, and a fix."""

    # ComfyUI shows the type of an error with its module, which for this class would be the path of this file.
    __module__, __qualname__ = "builtins", "ValueError"


def fitted(shapes: Shapes, dims: Dims, filename: str) -> dict[str, int]:
    """The size of each dimension name. `dims` has the dimensions of all required tensors: names, or fixed sizes.

    Raises BadFile for a tensor with an inconsistent shape.
    """
    votes: dict[str | int, Counter] = defaultdict(Counter)
    for key, names in dims.items():
        if len(shapes[key]) == len(names):
            for name, size in _known_sizes(shapes, key, names):
                votes[name][size] += 1
    sizes = {name: each.most_common(1)[0][0] for name, each in votes.items() if isinstance(name, str)}
    wrong = [key for key, names in dims.items() if not _fits(shapes, key, names, sizes)]
    if wrong:
        expected = ", ".join(str(sizes.get(str(name), name)) for name in dims[wrong[0]])
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise BadFile(
            f"{filename} has tensors with inconsistent shapes: {wrong[0]} is {list(shapes[wrong[0]])}, expected "
            f"[{expected}]{more}. It is damaged, or merged from several files; download it again."
        )
    return sizes


def _fits(shapes: Shapes, key: str, names: tuple[str | int, ...], sizes: Mapping[str, int]) -> bool:
    if len(shapes[key]) != len(names) or 0 in shapes[key]:
        return False
    return all(size == sizes.get(name, name) for name, size in _known_sizes(shapes, key, names))


def _known_sizes(shapes: Shapes, key: str, names: tuple[str | int, ...]):
    """(name, size) of a tensor's dimensions; of a packed matrix only the number of rows is known."""
    count = 1 if key.removesuffix(".weight") + PACKED in shapes else len(names)
    return list(zip(names, shapes[key], strict=True))[:count]
