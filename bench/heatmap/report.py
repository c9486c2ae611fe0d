"""The bench's tables and its JSON. Pure."""

from collections.abc import Mapping
from dataclasses import asdict

from ..measure import table
from .protocols import Score
from .scoring import Scored, Way, best_of_each

HEADS = ("measure", "named by", "blocks", "sigma", "IoU", "one", "two", "drawn", "mIoU", "accuracy", "mAP",
         "mIoU as printed", "mIoU without blur", "other lit", "swapped")  # fmt: skip
CEILING = "ceiling: the mask itself"
Found = Mapping[Way, Scored]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def row(names: tuple[str, ...], found: Scored) -> list[str]:
    every = found.every
    iou = [each.iou if each else None for each in (every, found.one, found.two, found.drawn)]
    published = (every.miou, every.accuracy, every.ap, every.miou_printed, every.miou_sharp)
    return [*names, *map(_number, (*iou, *published, every.lit, every.swapped))]


def short(train: Found, test: Found, ceiling: Scored) -> str:
    """The best way of each measure by `train`, with its scores of `test`."""
    chosen = best_of_each(train).values()
    rows = [row((way.measure, way.query, way.blocks, way.sigmas), test[way]) for way in chosen]
    return table(HEADS, [row((CEILING, "", "", ""), ceiling), *rows])


def ceilings(by_side: Mapping[int, Score]) -> str:
    """The score of the mask itself, by the image tokens on a side of the picture."""
    heads = ("image tokens", "IoU", "mIoU", "mIoU without blur", "accuracy", "mAP")
    rows = [
        [f"{side} x {side}", *map(_number, (each.iou, each.miou, each.miou_sharp, each.accuracy, each.ap))]
        for side, each in by_side.items()
    ]
    return table(heads, rows)


def full(found: Found) -> str:
    """For each measure and query a table of IoU and mIoU by blocks and range of sigma."""
    parts = []
    for measure, query in dict.fromkeys((way.measure, way.query) for way in found):
        own = {way: each for way, each in found.items() if (way.measure, way.query) == (measure, query)}
        blocks, ranges = (list(dict.fromkeys(getattr(way, name) for way in own)) for name in ("blocks", "sigmas"))
        rows = [
            [sigmas, *(_pair(own[Way(measure, query, name, sigmas)].every) for name in blocks)] for sigmas in ranges
        ]
        parts.append(f"### {measure}, named by its {query}: IoU / mIoU\n\n{table(['sigma, blocks', *blocks], rows)}")
    return "\n\n".join(parts)


def _pair(each: Score) -> str:
    return f"{each.iou:.2f} / {each.miou:.2f}"


def as_json(
    about: dict, train: Found, test: Found, ceiling: Scored, default: Way, by_side: Mapping[int, Score]
) -> dict:
    return {
        **about,
        "default": asdict(default),
        "ceiling": _rounded(ceiling),
        "ceilings": {side: each.rounded() for side, each in by_side.items()},
        "ways": [{**asdict(way), "train": _rounded(train[way]), "test": _rounded(test[way])} for way in train],
    }


def _rounded(found: Scored) -> dict:
    parts = {"every": found.every, "one": found.one, "two": found.two, "drawn": found.drawn}
    return {name: each.rounded() for name, each in parts.items() if each}
