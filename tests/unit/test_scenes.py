"""The renderer draws what the captions say, and the two captions of a scene tell different halves of it."""

import random

import numpy as np
import pytest

from flux_duet.nano import scenes

CENTRE = scenes.Object("red", "circle", "center")


def words(table: dict) -> set[str]:
    return {word for _, sayings in table.values() for word in sayings}


def test_same_scene_same_pixels():
    first, second = (scenes.random_scene(random.Random(4)) for _ in range(2))
    assert first == second
    picture = scenes.render(first)
    assert picture.shape == (128, 128, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, scenes.render(second))


@pytest.mark.parametrize("colour", scenes.COLOURS)
@pytest.mark.parametrize("place", scenes.PLACES)
def test_object_has_its_colour_at_its_place(colour, place):
    item = scenes.Object(colour, "square", place)
    picture = scenes.render(scenes.Scene((item,), "snow"))
    column, row = (int(at * 128) for at in scenes.PLACES[place][0])
    assert np.allclose(picture[row, column] / 255, scenes.COLOURS[colour][0], atol=0.01)


@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_mask_is_where_the_object_changes_the_picture(shape):
    item = scenes.Object("blue", shape, "center")
    scene, bare = scenes.Scene((item,), "pink"), scenes.Scene((), "pink")
    (mask,) = scenes.masks(scene)
    changed = np.abs(scenes.render(scene).astype(int) - scenes.render(bare)).max(-1) > 0
    assert changed[mask > 0.1].all()
    assert not changed[mask == 0].any()
    assert 0.2 < mask.sum() / (2 * item.radius * 128) ** 2 < 0.9
    top, left = (np.argwhere(mask > 0.5).min(0) for _ in range(2))
    assert 20 < top[0] < 64 and 20 < left[1] < 64


def test_shapes_and_backgrounds_differ():
    alone = [scenes.Scene((scenes.Object("red", shape, "center"),), "sea") for shape in scenes.SHAPES]
    shapes = [scenes.masks(scene)[0] for scene in alone]
    backdrops = [scenes.render(scenes.Scene((), background)) / 255 for background in scenes.BACKGROUNDS]
    for pictures, least in ((shapes, 0.01), (backdrops, 0.06)):
        for index, one in enumerate(pictures):
            assert all(np.abs(one - other).mean() > least for other in pictures[:index])


def test_nearer_object_hides_the_farther():
    behind, before = CENTRE, scenes.Object("blue", "square", "center", "small")
    far, near = scenes.masks(scenes.Scene((behind, before), "night"))
    assert (far + near <= 1.0001).all()
    assert near[64, 64] == 1 and far[64, 64] == 0 and far[64, 48] == 1


def test_two_objects_stand_apart():
    rng = random.Random(0)
    pairs = [scenes.random_scene(rng, two=1.0) for _ in range(200)]
    assert all(len(scene.objects) == 2 for scene in pairs)
    assert all((scenes.masks(scene) > 0).sum(0).max() == 1 for scene in pairs[:40])


def test_captions_tell_their_half_and_nothing_else():
    rng = random.Random(1)
    for _ in range(500):
        scene = scenes.random_scene(rng)
        objects, background = scenes.object_caption(scene, rng), scenes.background_caption(scene, rng)
        for item in scene.objects:
            assert item.colour in objects and item.shape in objects
        assert any(look in background for look in scenes.BACKGROUNDS[scene.background][1])
        assert not any(look in objects for look in words(scenes.BACKGROUNDS))
        assert not any(shape in background.split() for shape in scenes.SHAPES)
        whole = scenes.whole_caption(scene, rng)
        assert all(item.colour in whole for item in scene.objects)
        assert any(look in whole for look in scenes.BACKGROUNDS[scene.background][1])
        assert "a orange" not in whole


def test_captions_vary_and_follow_the_seed():
    scene = scenes.Scene((CENTRE,), "night")
    said = [scenes.whole_caption(scene, random.Random(seed)) for seed in range(200)]
    assert len(set(said)) > 100
    assert said[7] == scenes.whole_caption(scene, random.Random(7))


def test_read_finds_what_was_drawn():
    rng = random.Random(2)
    for scene in rng.sample(scenes.every_scene(), 40):
        assert scenes.read(scenes.render(scene)) == scene
