"""The renderer draws what the captions say, and the two captions of a scene describe different parts of it."""

import random
from dataclasses import replace

import numpy as np
import pytest

from flux_duet.nano import scenes

CENTRE = scenes.Object("red", "circle")


def alone(item: scenes.Object, background: str = "night") -> scenes.Scene:
    return scenes.Scene((item,), background)


def words(table: dict) -> set[str]:
    return {word for _, sayings in table.values() for word in sayings}


def several(count: int, seed: int = 0, **options) -> list[scenes.Scene]:
    rng = random.Random(seed)
    return [scenes.random_scene(rng, **options) for _ in range(count)]


# ---- drawing


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
    picture = scenes.render(alone(scenes.Object(colour, "square", place), "snow"))
    column, row = (int(at * 128) for at in scenes.PLACES[place][0])
    assert np.allclose(picture[row, column] / 255, scenes.COLOURS[colour][0], atol=0.01)


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_mask_is_where_the_object_changes_the_picture(shape, size):
    item = scenes.Object("blue", shape, "bottom", size)
    bare = scenes.Scene((), "pink")
    (mask,) = scenes.masks(alone(item, "pink"))
    changed = np.abs(scenes.render(alone(item, "pink")).astype(int) - scenes.render(bare)).max(-1) > 0
    assert changed[mask > 0.1].all()
    assert not changed[mask == 0].any()
    assert 0.2 < mask.sum() / (2 * item.radius * 128) ** 2 < 0.9
    row, column = np.argwhere(mask > 0.5).mean(0) / 128
    assert (column, row) == pytest.approx(item.centre, abs=0.05)


@pytest.mark.parametrize("fill", scenes.FILLS)
def test_fills_use_both_colours_of_the_object_and_leave_its_mask(fill):
    plain, filled = alone(CENTRE), alone(replace(CENTRE, fill=fill))
    assert np.array_equal(scenes.masks(plain), scenes.masks(filled))
    inside = scenes.masks(scenes.Scene((replace(CENTRE, size="small"),), "night"))[0] == 1  # away from the outline
    picture, (bright, dark) = scenes.render(filled) / 255, scenes.COLOURS["red"]
    shares = [np.isclose(picture[inside], colour, atol=0.01).all(-1).mean() for colour in (bright, dark)]
    assert shares[0] > 0.4
    assert (shares[1] == 0) if fill == "solid" else (shares[1] > 0.08)


def test_no_two_choices_look_alike():
    """Two scenes that differ in one attribute are clearly different pictures."""
    choices = {
        "colour": scenes.COLOURS,
        "shape": scenes.SHAPES,
        "fill": scenes.FILLS,
        "size": scenes.SIZES,
        "place": scenes.PLACES,
    }
    for name, table in choices.items():
        pictures = [scenes.render(alone(replace(CENTRE, **{name: key}))) / 255 for key in table]
        for index, one in enumerate(pictures):
            assert all(np.square(one - other).sum() > 40 for other in pictures[:index]), name
    backdrops = [scenes.render(scenes.Scene((), background)) / 255 for background in scenes.BACKGROUNDS]
    for index, one in enumerate(backdrops):
        assert all(np.abs(one - other).mean() > 0.06 for other in backdrops[:index])


def test_nearer_object_hides_the_farther():
    inner = scenes.Object("blue", "square", "center", "small")
    near, far = scenes.masks(scenes.Scene((inner, CENTRE), "night", "inside"))
    assert (far + near <= 1.0001).all()
    assert near[64, 64] == 1 and far[64, 64] == 0 and far[64, 48] == 1


# ---- choosing


def test_objects_stand_apart_unless_one_is_inside_another():
    for scene in several(300):
        masks = scenes.masks(scene) > 0
        outer = masks[1:] if scene.relation == "inside" else masks
        assert outer.sum(0).max() <= 1
        if scene.relation == "inside":
            inner, holder = (scenes.masks(alone(item))[0] for item in scene.objects[:2])
            assert (holder[inner > 0] > 0.99).mean() > 0.9


@pytest.mark.parametrize("relation", scenes.RELATIONS)
def test_a_relation_is_what_the_picture_shows(relation):
    found = [scene for scene in several(800) if scene.relation == relation]
    assert len(found) > 10
    assert all(scenes.relation_holds(relation, *scene.objects[:2], scene) for scene in found)


def test_training_never_meets_what_is_kept_for_judging():
    rng = random.Random(6)
    assert not any(map(scenes.unseen, several(500)))
    kept = [scenes.unseen_scene(rng, {2: 1.0}, related=True) for _ in range(100)]
    assert all(scenes.unseen(scene) and scene.relation and len(scene.objects) == 2 for scene in kept)
    colours, shapes, places = (
        {getattr(scenes.unseen_scene(rng, {1: 1.0}).objects[0], name) for _ in range(600)}
        for name in ("colour", "shape", "place")
    )
    assert (len(colours), len(shapes), len(places)) == (8, 18, 9)  # no attribute is held out by itself


# ---- captions


def test_captions_tell_their_half_and_nothing_else():
    rng = random.Random(1)
    for scene in several(500, seed=1):
        objects, background = scenes.object_caption(scene, rng), scenes.background_caption(scene, rng)
        for item in scene.objects:
            assert item.shape in objects
            assert item.colour in objects or scenes.HABITS[item.shape][0] == item.colour
            assert item.size == "large" or any(word in objects for word in scenes.SIZES["small"][1])
        assert any(look in background for look in scenes.BACKGROUNDS[scene.background][1])
        assert not any(look in objects for look in words(scenes.BACKGROUNDS))
        assert not any(shape in background.split() for shape in scenes.SHAPES)
        whole = scenes.whole_caption(scene, rng)
        assert all(item.shape in whole for item in scene.objects)
        assert any(look in whole for look in scenes.BACKGROUNDS[scene.background][1])
        assert "a orange" not in whole


def test_what_a_caption_leaves_out_is_plain():
    rng = random.Random(2)
    sizes, places = words(scenes.SIZES), words(scenes.PLACES) | set(scenes.PLACES)
    fills = {"striped", "stripy", "stripes", "dotted", "spotted", "dots", "spots"}
    for scene in several(500, seed=3, counts={1: 1.0}):
        caption, (item,) = scenes.object_caption(scene, rng), scene.objects
        if not any(word in caption for word in sizes):
            assert item.size == "large"
        assert any(word in caption for word in fills) == (item.fill != "solid")
        if not any(word in caption for word in places):
            assert item.place == "center"


def test_captions_vary_and_follow_the_seed():
    scene = alone(scenes.Object("green", "star", "left", "small", "dotted"))
    captions = [scenes.whole_caption(scene, random.Random(seed)) for seed in range(200)]
    assert len(set(captions)) > 100
    assert captions[7] == scenes.whole_caption(scene, random.Random(7))


def test_sentences_for_judging_are_none_of_training():
    for mine, theirs in zip(vars(scenes.TRAINED).values(), vars(scenes.UNTRAINED).values(), strict=True):
        assert not set(mine) & set(theirs)


# ---- reading and judging


def test_read_finds_what_was_drawn():
    noise = np.random.default_rng(0)
    for scene in several(10, seed=5):
        picture = scenes.render(scene) + noise.normal(0, 6, (128, 128, 3))
        verdict = scenes.judge(scene, scenes.read(np.clip(picture, 0, 255).astype(np.uint8)))
        assert all(verdict.values()), (scene, verdict)


def test_read_finds_nothing_where_there_is_nothing():
    for background in scenes.BACKGROUNDS:
        assert scenes.read(scenes.render(scenes.Scene((), background))).objects == ()


def test_judge_names_what_is_wrong():
    objects = (scenes.Object("red", "circle", "left"), scenes.Object("blue", "star", "right"))
    expected = scenes.Scene(objects, "sea", "left of")
    turned = replace(
        expected, objects=(replace(expected.objects[0], place="right"), replace(expected.objects[1], place="left"))
    )
    assert all(scenes.judge(expected, expected).values())
    wrong = {
        "colour": replace(expected, objects=(replace(expected.objects[0], colour="green"), expected.objects[1])),
        "background": replace(expected, background="snow"),
        "relation": turned,
        "count": replace(expected, objects=(*expected.objects, scenes.Object("black", "ring", "top", "small"))),
        "shape": replace(expected, objects=expected.objects[:1]),
    }
    for name, seen in wrong.items():
        verdict = scenes.judge(expected, seen)
        assert not verdict[name] and not verdict["everything"], name
    assert scenes.judge(expected, wrong["colour"])["relation"]
