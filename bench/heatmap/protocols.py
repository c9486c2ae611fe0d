"""How well maps point at an object: two published ways to count it, and what is lit of another object. Pure torch.

Everything is counted on the map's own image tokens. `found` [N, h, w] are maps, each of one word in one picture,
`truth` [N, h, w] is True where the token is the object's.

* Ours: each map is scaled from 0 to 1 and cut at its own Otsu threshold, as Show Heatmap's hard masks are. The score is
  the mean over the maps of the object's IoU.
* ConceptAttention's (Helbling 2025, `experiments/imagenet_segmentation`): a 3 x 3 Gaussian blur of sigma 1, cut at the
  map's mean; IoU of the object and of the rest, both from the tokens of all maps together, and their mean; the share of
  right tokens; and the average precision of (map, 1 - map) against (object, rest), the mean over the maps. They blur
  maps of 64 x 64 tokens; of 8 x 8, the blur reaches over a quarter of the picture. The code that the authors published
  counts both planes into both classes, so that what it prints as mIoU is accuracy / (2 - accuracy): `miou_printed`.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ...nodes.probe.heat.reading import masks, otsu


@dataclass(frozen=True)
class Score:
    """`iou` is ours; the next four are ConceptAttention's, `miou_sharp` its mIoU without the blur.

    Of pictures of two objects, None without any: `lit` is the share of the other object's tokens that our threshold
    lights, `swapped` the share of maps that are on average higher on the other object than on their own.
    """

    iou: float
    miou: float
    accuracy: float
    ap: float
    miou_printed: float
    miou_sharp: float
    lit: float | None
    swapped: float | None

    def rounded(self) -> dict[str, float | None]:
        return {name: None if value is None else round(value, 4) for name, value in asdict(self).items()}


def score(found: Tensor, truth: Tensor, other: Tensor) -> Score:
    """`other` [N, h, w] is True where the token is another object's."""
    hard, scaled = otsu(masks(found)), masks(blurred(found))
    cut = above_mean(scaled)
    accuracy = float((cut == truth).float().mean())
    has = other.flatten(1).any(1)
    return Score(
        iou=float(ious(hard, truth).mean()),
        miou=mean_iou(cut, truth),
        accuracy=accuracy,
        ap=float(average_precision(torch.stack((1 - scaled, scaled), 1), torch.stack((~truth, truth), 1)).mean()),
        miou_printed=accuracy / (2 - accuracy),
        miou_sharp=mean_iou(above_mean(found), truth),
        lit=float(share(hard[has], other[has]).mean()) if has.any() else None,
        swapped=float((share(found, other) > share(found, truth))[has].float().mean()) if has.any() else None,
    )


def ious(hard: Tensor, truth: Tensor) -> Tensor:
    """[N]: of each map, the tokens lit in both over those lit in any; 1 if there are none in both."""
    both, either = ((each.flatten(1).sum(1).float()) for each in (hard & truth, hard | truth))
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def mean_iou(hard: Tensor, truth: Tensor) -> float:
    """The mean of two IoUs, of the objects and of the rest, each counted over the tokens of all maps together."""
    pairs = ((hard, truth), (~hard, ~truth))
    return sum(float((one & other).sum() / (one | other).sum().clamp_min(1)) for one, other in pairs) / 2


def blurred(found: Tensor) -> Tensor:
    """[N, h, w]: blurred by a Gaussian of sigma 1 on 3 x 3 tokens; outside of the map stands its mirror image."""
    line = torch.tensor([-1.0, 0.0, 1.0]).square().mul(-0.5).exp()
    line = (line / line.sum()).to(found)
    wide = pad(found[:, None], (1, 1, 1, 1), mode="reflect")
    return conv2d(conv2d(wide, line.view(1, 1, 3, 1)), line.view(1, 1, 1, 3))[:, 0]


def above_mean(found: Tensor) -> Tensor:
    return found > found.mean((1, 2), keepdim=True)


def average_precision(found: Tensor, truth: Tensor) -> Tensor:
    """[N]: the mean, over the true places of each row, of the precision where a threshold just admits that place.

    Places of the same value are admitted together, as in scikit-learn.
    """
    values, order = found.flatten(1).contiguous().sort(1)  # upwards
    hits = truth.flatten(1).gather(1, order).float()
    first = torch.searchsorted(values, values)  # of the places with the same value
    from_here = hits.flip(1).cumsum(1).flip(1)
    precision = from_here.gather(1, first) / (values.shape[1] - first)
    return (precision * hits).sum(1) / hits.sum(1).clamp_min(1)


def share(values: Tensor, where: Tensor) -> Tensor:
    """[N]: the mean of `values` [N, h, w] over the tokens `where`; 0 without any."""
    inside = where.flatten(1).float()
    return (values.flatten(1).float() * inside).sum(1) / inside.sum(1).clamp_min(1)
