"""Shared by the benchmarks: two sides timed in alternation, their ratio, and Markdown tables."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import comfy.model_management
import psutil

from ..devtools import say

SIDES = ("native", "ours")
BUSY_PERCENT = 15  # CPU load of all cores by other processes above which times are unreliable


def seconds(value: float) -> str:
    """A time as text with three digits: "1.23 s", "45.6 ms"."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def size(value: float) -> str:
    """A size in bytes as text with three digits: "1.23 GB", "45.6 MB"."""
    return f"{value / 10**9:.3g} GB" if value >= 10**9 else f"{value / 10**6:.3g} MB"


@dataclass(frozen=True)
class Comparison:
    """Seconds (or bytes) of both sides for the same work, a pair for each round; `as_text` formats them."""

    name: str
    native: Sequence[float]
    ours: Sequence[float]
    as_text: Callable[[float], str] = seconds

    def __post_init__(self) -> None:
        if not self.native or len(self.native) != len(self.ours):
            raise ValueError(
                f"{self.name}: got {len(self.native)} native and {len(self.ours)} values of ours, "
                "expected a pair for every round"
            )

    @property
    def ratios(self) -> list[float]:
        """Ours / native for each round: other load on the machine slows both sides of a round."""
        return [ours / native for native, ours in zip(self.native, self.ours, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def rounds(count: int) -> Iterator[tuple[int, str]]:
    """(round, side): native ours, ours native, native ours, ... so that neither side always runs second."""
    for number in range(count):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            yield number, side


def ratio(value: float) -> str:
    """A ratio as text: three decimals, or for small ratios also the inverse factor."""
    return f"{value:.3f}" if value >= 0.1 else f"{value:.2g} (1/{1 / value:.0f})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def compared(comparisons: Sequence[Comparison]) -> str:
    """A table of both sides' medians and their ratio, with its lowest and highest round."""
    return table(
        ["", "native", "ours", "ours / native", "lowest and highest round"],
        [
            [
                each.name,
                each.as_text(median(each.native)),
                each.as_text(median(each.ours)),
                ratio(each.ratio),
                f"{ratio(min(each.ratios))}, {ratio(max(each.ratios))}",
            ]
            for each in comparisons
        ],
    )


def machine() -> str:
    """The CPU cores and the GPU of this machine, as text."""
    device = comfy.model_management.get_torch_device()
    cores = f"{os.cpu_count()} CPU cores"
    return cores if device.type == "cpu" else f"{cores}, {comfy.model_management.get_torch_device_name(device)}"


def warn_if_busy() -> None:
    """Prints a warning if other processes use the CPU, which makes times unreliable."""
    busy = psutil.cpu_percent(interval=1)
    if busy > BUSY_PERCENT:
        say(f"warning: the cores are {busy:.0f} % busy with other processes; only the ratios are reliable")
