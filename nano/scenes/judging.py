"""Whether a picture shows what it should: two scenes compared, the one told and the one read. Pure."""

from itertools import permutations

from .scene import Object, Scene

ATTRIBUTES = ("colour", "shape", "place", "size", "fill")


def _right(told: Object, seen: Object | None) -> dict[str, bool]:
    return {name: seen is not None and getattr(told, name) == getattr(seen, name) for name in ATTRIBUTES}


def matched(told: Scene, seen: Scene) -> list[Object | None]:
    """For each object told, the one seen that is meant by it, or None: as many attributes right as can be."""
    candidates = [*seen.objects, *[None] * len(told.objects)]
    orders = permutations(candidates, len(told.objects))
    return list(
        max(
            orders,
            key=lambda order: sum(
                sum(_right(item, other).values()) + (other is not None) / 10
                for item, other in zip(told.objects, order, strict=True)
            ),
        )
    )


def relation_holds(relation: str, one: Object, other: Object, seen: Scene) -> bool:
    """Whether two objects of a scene as it was read stand so: by where they are, not by the names of their places."""
    if relation == "inside":
        inside = seen.relation == "inside" and one.place == other.place
        return inside and seen.objects.index(one) < seen.objects.index(other)
    (x, y), (other_x, other_y) = one.centre, other.centre
    right, down = x - other_x, y - other_y
    beside = abs(right) > abs(down)
    return {
        "left of": beside and right < 0,
        "right of": beside and right > 0,
        "above": not beside and down < 0,
        "below": not beside and down > 0,
    }[relation]


def judge(told: Scene, seen: Scene) -> dict[str, bool]:
    """What is right of a picture: each attribute, if it is right for every object; the background; the relation; the
    number of objects. "place" asks for the named places, also where a relation was told. "everything" is all of them,
    but for the places of two in a relation: they are not told."""
    pairs = list(zip(told.objects, matched(told, seen), strict=True))
    rights = [_right(item, other) for item, other in pairs]
    right = {name: all(each[name] for each in rights) for name in ATTRIBUTES}
    right["background"] = told.background == seen.background
    right["count"] = len(told.objects) == len(seen.objects)
    told_of = dict(right)
    if told.relation:
        one, other = (seen_item for _, seen_item in pairs[:2])
        right["relation"] = None not in (one, other) and relation_holds(told.relation, one, other, seen)
        told_of = {**right, "place": all(each["place"] for each in rights[2:])}
    return {**right, "everything": all(told_of.values())}
