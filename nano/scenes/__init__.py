"""Captioned pictures of simple shapes: what the nano models learn from. Pure: numpy and the standard library.

A picture is two sentences that need not know of each other. What stands where goes to T5; how the whole picture
looks goes to CLIP. That is the division of labour the nano FLUX is meant to show, so the two captions come apart.
"""

from .captions import TRAINED, UNTRAINED, Patterns, background_caption, object_caption, whole_caption
from .drawing import SIZE, backdrop, masks, paint, render
from .judging import judge, matched, relation_holds
from .reading import read
from .scene import COUNTS, Object, Scene, random_object, random_scene, unseen, unseen_scene
from .vocabulary import BACKGROUNDS, COLOURS, FILLS, PLACES, RELATIONS, SHAPES, SIZES

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "COUNTS",
    "FILLS",
    "PLACES",
    "RELATIONS",
    "SHAPES",
    "SIZE",
    "SIZES",
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
