"""Reads scenes back from the pictures, and tables of the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from ...nano import scenes
from ...nano.scenes import Scene
from ..measure import table

CLEAN = 0.06  # largest mean difference between a picture and the scene that was read in it; true pictures have 0.03


# The attributes of a scene with one object that each prompt names.
TURNS = {"T5": ("place", "colour", "shape"), "CLIP": ("background",)}


@dataclass(frozen=True)
class Table:
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return f"{self.title}\n\n{table(self.heads, self.rows)}\n"


def read(pictures: np.ndarray, most: int) -> list[Scene]:
    """The scene in each picture, with at most `most` objects; 0 reads the background alone."""
    return [scenes.read(picture, most) for picture in pictures]


def clean(picture: np.ndarray, seen: Scene) -> bool:
    """Whether the picture still is a scene: a prompt that is pushed too far destroys it."""
    return float(np.abs(picture / 255 - scenes.render(seen) / 255.0).mean()) < CLEAN


def shown(name: str, scene: Scene) -> str | None:
    if name == "background":
        return scene.background
    return getattr(scene.objects[0], name) if scene.objects else None


def shows(scene: Scene, name: str, value: str) -> bool:
    return any(getattr(item, name) == value for item in scene.objects)


def percent(values: Sequence[bool]) -> str:
    return f"{100 * mean(values):.0f}" if values else ""
