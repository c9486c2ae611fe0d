"""The cases of both negatives: a prompt, and the part of its picture that the negative names."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...nano.pipeline import GUIDANCE
from ...nano.scenes import Object
from ...nodes.condition.conditioning import join
from .studio import Studio


@dataclass(frozen=True)
class Away:
    """An object, its two prompts, what the plain picture shows where they are open, and the negative that names this.

    The negative is empty if the plain picture does not follow the prompts; then the case does not count.
    """

    item: Object
    clip: str
    t5: str
    shown: str = ""
    negative: str = ""


def plain(studio: Studio, cases: Sequence[Away]) -> list:
    return join(studio.vec([each.clip for each in cases]), studio.txt([each.t5 for each in cases]), GUIDANCE)
