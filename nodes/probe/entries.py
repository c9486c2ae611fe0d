"""Identifies a run's prompts by role, id and rows. Pure torch.

A guider names its prompts ("positive", "middle", "negative") but passes them to the model in its own order, so the
position in a batch does not identify a prompt. ComfyUI also copies an entry with an area into the other prompts, with
the same id (create_cond_with_same_area_if_none). So the list of entries identifies the role, and the id identifies
the entry within that list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ..keys import UUID

POSITIVE = "positive"
ROLES = (POSITIVE, "middle", "negative")  # in order of preference, where several prompts are equal
UNKNOWN = "another"  # the role of a prompt that is not in the guider's lists

Entry = Mapping[str, Any]


def rank(role: str) -> int:
    """Position in the order of preference; 0 is preferred most."""
    return ROLES.index(role) if role in ROLES else len(ROLES) + (role == UNKNOWN)


def roles(conds: Sequence[Sequence[Entry] | None], known: Mapping[str, Sequence[Entry]]) -> list[str]:
    """The role of each prompt in `conds`, UNKNOWN if there is none; `known` are the guider's lists of entries by role.

    Matched by identity of the list, else by equal sets of ids, else by a subset of one role's ids (entries may be
    inactive for a part of the run).
    """
    ordered = sorted(known, key=rank)
    return [_role(cond, ordered, known) if cond else UNKNOWN for cond in conds]


def _role(cond: Sequence[Entry], ordered: Sequence[str], known: Mapping[str, Sequence[Entry]]) -> str:
    own = {entry[UUID] for entry in cond}
    ids = {role: {entry[UUID] for entry in known[role] or ()} for role in ordered}
    identical = (role for role in ordered if cond is known[role])
    equal = (role for role in ordered if own == ids[role])
    subset = (role for role in ordered if own <= ids[role])
    return next(chain(identical, equal, subset), UNKNOWN)


@dataclass(frozen=True, eq=False)
class Place:
    """Where an entry is evaluated, and with which weight it enters the mix of entries.

    `area` is (height, width, top, left) in latent pixels, None for the whole latent. `weight` [B, h, w] is from 0 to 1
    for each pixel of the whole latent, None for 1 everywhere.
    """

    area: tuple[int, int, int, int] | None = None
    weight: Tensor | None = None


def located(context: Tensor, watched: Tensor) -> int | None:
    """The first row of `context` [L, C] from which the rows of `watched` [n, C] follow in order; None if not found.

    Tries row 0 first, where an unmixed prompt has them; a blend or a native node may have moved them. Both tensors
    have the same dtype and device.
    """
    count, rows = len(watched), len(context)
    if not 0 < count <= rows or context.shape[1] != watched.shape[1]:
        return None
    if torch.equal(context[:count], watched):
        return 0
    for start in (context[: rows - count + 1] == watched[0]).all(1).nonzero()[:, 0].tolist():
        if torch.equal(context[start : start + count], watched):
            return start
    return None
