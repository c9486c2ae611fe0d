"""Compares the scene of a prompt with the scene read from its picture. Pure."""

from itertools import permutations

from .scene import Object, Scene

ATTRIBUTES = ("colour", "shape", "place", "size", "fill")


def _right(expected: Object, seen: Object | None) -> dict[str, bool]:
    return {name: seen is not None and getattr(expected, name) == getattr(seen, name) for name in ATTRIBUTES}


def matched(expected: Scene, seen: Scene) -> list[Object | None]:
    """For each expected object the matching one seen, or None: the assignment with the most attributes right."""
    candidates = [*seen.objects, *[None] * len(expected.objects)]
    orders = permutations(candidates, len(expected.objects))
    return list(
        max(
            orders,
            key=lambda order: sum(
                sum(_right(item, other).values()) + (other is not None) / 10
                for item, other in zip(expected.objects, order, strict=True)
            ),
        )
    )


def relation_holds(relation: str, one: Object, other: Object, seen: Scene) -> bool:
    """Whether a relation holds between two objects of a scene that was read, by their positions."""
    if relation == "inside":
        inside = seen.relation == "inside" and one.place == other.place
        return inside and seen.objects.index(one) < seen.objects.index(other)
    (x, y), (other_x, other_y) = one.centre, other.centre
    right, down = x - other_x, y - other_y
    horizontal = abs(right) > abs(down)
    return {
        "left of": horizontal and right < 0,
        "right of": horizontal and right > 0,
        "above": not horizontal and down < 0,
        "below": not horizontal and down > 0,
    }[relation]


def judge(expected: Scene, seen: Scene) -> dict[str, bool]:
    """Which parts of a picture are right: each attribute (of all objects), background, relation, number of objects.

    "place" compares with the expected places, also if a relation is expected. "everything" is all of them, except the
    places of two objects in a relation, which the prompt does not name.
    """
    pairs = list(zip(expected.objects, matched(expected, seen), strict=True))
    rights = [_right(item, other) for item, other in pairs]
    right = {name: all(each[name] for each in rights) for name in ATTRIBUTES}
    right["background"] = expected.background == seen.background
    right["count"] = len(expected.objects) == len(seen.objects)
    required = dict(right)
    if expected.relation:
        one, other = (seen_item for _, seen_item in pairs[:2])
        right["relation"] = None not in (one, other) and relation_holds(expected.relation, one, other, seen)
        required = {**right, "place": all(each["place"] for each in rights[2:])}
    return {**right, "everything": all(required.values())}
