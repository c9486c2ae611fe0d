"""Which prompt is which: a run's prompts by role, id and rows. Pure torch.

A guider names its prompts ("positive", "middle", "negative") and hands them to the model in an order of its own, so a
place in a batch says nothing. And ComfyUI gives an entry with an area to the other prompts too, with the same id (its
create_cond_with_same_area_if_none). So it is the list of entries that tells the role, and the id the entry within it.
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
ROLES = (POSITIVE, "middle", "negative")  # which is read where several say the same
UNKNOWN = "another"  # the role of a prompt that the guider does not know

Entry = Mapping[str, Any]


def rank(role: str) -> int:
    """The first is preferred."""
    return ROLES.index(role) if role in ROLES else len(ROLES) + (role == UNKNOWN)


def roles(conds: Sequence[Sequence[Entry] | None], known: Mapping[str, Sequence[Entry]]) -> list[str]:
    """The role of each prompt that is evaluated; `known` are the guider's own lists by role.

    By the list itself, else by the ids in it, else by ids that are all from one role (entries may rest for a while).
    """
    ordered = sorted(known, key=rank)
    return [_role(cond, ordered, known) if cond else UNKNOWN for cond in conds]


def _role(cond: Sequence[Entry], ordered: Sequence[str], known: Mapping[str, Sequence[Entry]]) -> str:
    own = {entry[UUID] for entry in cond}
    ids = {role: {entry[UUID] for entry in known[role] or ()} for role in ordered}
    the_list = (role for role in ordered if cond is known[role])
    the_same = (role for role in ordered if own == ids[role])
    a_part = (role for role in ordered if own <= ids[role])
    return next(chain(the_list, the_same, a_part), UNKNOWN)


@dataclass(frozen=True, eq=False)
class Place:
    """Where an entry is evaluated, `area` = (height, width, top, left) in the latent's pixels, None for everywhere; and
    how much of the picture is its own there, `weight` [B, h, w] of the whole latent, None for all of it.
    """

    area: tuple[int, int, int, int] | None = None
    weight: Tensor | None = None


def located(context: Tensor, watched: Tensor) -> int | None:
    """At which row of `context` [L, C] the rows of `watched` [n, C] stand, one after another; None where they do not.

    At the beginning first, where a prompt of its own has them; else wherever a mix or a native node has put them. Both
    are of one type and on one device.
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
