"""Captioned pictures of simple shapes and drawn things, the nano models' training data.

Pure: numpy and the standard library.

A picture has two independent captions: the objects and their places, for T5, and the background, for CLIP. The nano
FLUX is meant to show this division between the two prompts.
"""

from .captions import TRAINED, UNTRAINED, Patterns, background_caption, object_caption, whole_caption
from .drawing import SIZE, backdrop, masks, paint, render
from .judging import judge, matched, relation_holds
from .reading import read
from .scene import COUNTS, Object, Scene, random_object, random_scene, unseen, unseen_scene
from .things import THINGS
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, HABITS, PLACES, RELATIONS, SHAPES, SIZES

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "COUNTS",
    "FILLS",
    "HABITS",
    "PLACES",
    "RELATIONS",
    "SHAPES",
    "SIZE",
    "SIZES",
    "THINGS",
    "TRAINED",
    "UNTRAINED",
    "Object",
    "Patterns",
    "Scene",
    "background_caption",
    "backdrop",
    "judge",
    "masks",
    "matched",
    "object_caption",
    "paint",
    "random_object",
    "random_scene",
    "read",
    "relation_holds",
    "render",
    "unseen",
    "unseen_scene",
    "whole_caption",
]
