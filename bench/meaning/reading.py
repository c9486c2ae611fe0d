"""What is read back from the pictures, and the tables that tell of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from ...nano import scenes
from ...nano.scenes import Scene
from ..measure import table

CLEAN = 0.06  # how far a picture may be, in the mean of all pixels, from the scene that was read in it; true ones: .03

# What each stream's prompt tells of a scene with one object.
TURNS = {"T5": ("place", "colour", "shape"), "CLIP": ("background",)}


@dataclass(frozen=True)
class Table:
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return f"{self.title}\n\n{table(self.heads, self.rows)}\n"


def read(pictures: np.ndarray, most: int) -> list[Scene]:
    """With at most so many objects; 0 reads the background alone."""
    return [scenes.read(picture, most) for picture in pictures]


def clean(picture: np.ndarray, seen: Scene) -> bool:
    """Whether the picture is a scene at all: as a prompt is pushed too far, it falls apart."""
    return float(np.abs(picture / 255 - scenes.render(seen) / 255.0).mean()) < CLEAN


def shown(name: str, scene: Scene) -> str | None:
    if name == "background":
        return scene.background
    return getattr(scene.objects[0], name) if scene.objects else None


def shows(scene: Scene, name: str, value: str) -> bool:
    return any(getattr(item, name) == value for item in scene.objects)


def percent(values: Sequence[bool]) -> str:
    return f"{100 * mean(values):.0f}" if values else ""
