"""What the benchmarks share: two sides timed in turn, their ratio, and how a result is written down."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import comfy.model_management
import psutil

from ..devtools import say

SIDES = ("native", "ours")
BUSY_PERCENT = 15  # of all cores, by others, from which times are no longer to be trusted


def seconds(value: float) -> str:
    """A time as people say it, to three digits."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def size(value: float) -> str:
    """Bytes as people say them, to three digits."""
    return f"{value / 10**9:.3g} GB" if value >= 10**9 else f"{value / 10**6:.3g} MB"


@dataclass(frozen=True)
class Comparison:
    """The seconds that both sides took for the same thing, or the bytes, a pair for every round."""

    name: str
    native: Sequence[float]
    ours: Sequence[float]
    told: Callable[[float], str] = seconds

    def __post_init__(self) -> None:
        if not self.native or len(self.native) != len(self.ours):
            raise ValueError(
                f"{self.name}: got {len(self.native)} native and {len(self.ours)} values of ours, "
                "expected a pair for every round"
            )

    @property
    def ratios(self) -> list[float]:
        """Ours / native, round by round: what slows the machine for a while slows both sides of a round."""
        return [ours / native for native, ours in zip(self.native, self.ours, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def rounds(count: int) -> Iterator[tuple[int, str]]:
    """(round, side): native ours, ours native, native ours, ... so that neither always profits from being second."""
    for number in range(count):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            yield number, side


def ratio(value: float) -> str:
    """Near one every thousandth counts; far from it the factor is what one wants to read."""
    return f"{value:.3f}" if value >= 0.1 else f"{value:.2g} (1/{1 / value:.0f})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def compared(comparisons: Sequence[Comparison]) -> str:
    """The table of both sides' medians and the ratio between them, with its lowest and highest round."""
    return table(
        ["", "native", "ours", "ours / native", "lowest and highest round"],
        [
            [
                each.name,
                each.told(median(each.native)),
                each.told(median(each.ours)),
                ratio(each.ratio),
                f"{ratio(min(each.ratios))}, {ratio(max(each.ratios))}",
            ]
            for each in comparisons
        ],
    )


def machine() -> str:
    """What the figures were taken on."""
    device = comfy.model_management.get_torch_device()
    cores = f"{os.cpu_count()} CPU cores"
    return cores if device.type == "cpu" else f"{cores}, {comfy.model_management.get_torch_device_name(device)}"


def warn_if_busy() -> None:
    """Times taken beside other work mean little; say so before they are taken."""
    busy = psutil.cpu_percent(interval=1)
    if busy > BUSY_PERCENT:
        say(f"warning: the cores are {busy:.0f} % busy with something else; take only the ratios seriously")
