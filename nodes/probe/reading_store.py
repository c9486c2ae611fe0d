"""What a probe has read, kept by the latent that each run came to. Imports ComfyUI.

ComfyUI runs a node again, or takes what it gave from its cache. A probe's node and the sampler's are cached one by one,
so a reading is never taken for the run's on trust: it is found by the very latent that is to be explained.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from ..compat import memory
from ..keys import SAMPLES

MOST = 8  # runs whose readings a probe keeps; the oldest goes first
PART = 4  # and together they take at most one part in so many of the memory that is free without them
LEAST = 2**26  # bytes that a probe may take however little is free
REMEMBERED = 64  # runs of which a probe knows that their readings are gone
TYPES = (torch.float32, torch.float16, torch.bfloat16)  # in which a LATENT may come back


@dataclass(frozen=True)
class Unread:
    """In the place of a reading: why there is none."""

    why: str


@dataclass(eq=False)
class ReadingStore:
    """The readings of the runs of one MODEL. `name` is the node's, for what there is to say."""

    name: str
    runs: OrderedDict[int, tuple[Tensor, Any]] = field(default_factory=OrderedDict)
    settings: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # what a run's reading is repeated by
    count: int = 0
    gone: deque[tuple[set[str], str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def room(self) -> int:
        """Bytes that this probe's readings may take in all."""
        return allowed(free_memory(), size_of(list(self.runs.values())))

    def keep(self, samples: Tensor, reading: Any, settings: Mapping[str, Any] | None = None) -> None:
        """The reading of a run that came to `samples`. Older ones go where they take too much; the newest stays."""
        self.count += 1
        self.settings[self.count] = settings or {}
        self.runs[self.count] = (samples.detach().to("cpu", torch.float32, copy=True), reading)
        room = self.room()
        while len(self.runs) > 1:
            size = size_of(list(self.runs.values()))
            if size <= room and len(self.runs) <= MOST:
                break
            number, (old, _) = self.runs.popitem(last=False)
            del self.settings[number]
            why = f"within {shown(room)}" if size > room else f"to the last {MOST} runs"
            self.gone.append(({_digest(old.to(dtype)) for dtype in TYPES}, why))

    def reading(self, latent: dict) -> Any:
        """That of the run which gave this LATENT. Raises ValueError where no run of this probe did, or gave none."""
        return self.run(latent)[0]

    def run(self, latent: dict) -> tuple[Any, Mapping[str, Any]]:
        """The reading, as `reading` gives it, and what its run was like (run_settings.of_run)."""
        given = latent[SAMPLES]
        if wrong := int(given.isnan().sum()):
            raise ValueError(
                f"{self.name}: this LATENT holds NaN, in {wrong} of its {given.numel()} values: the model's numbers "
                "broke down in this run, so there is nothing to read. Look at the picture without the probe; usual "
                "causes are half precision (fp16), an attention backend, a weight or a strength far too large."
            )
        samples = given.to("cpu", torch.float32)
        for number, (kept, reading) in reversed(self.runs.items()):
            if kept.shape == samples.shape and torch.equal(kept.to(given.dtype).float(), samples):
                if isinstance(reading, Unread):
                    raise ValueError(reading.why)
                return reading, self.settings.get(number, {})
        digest = _digest(given.detach().cpu())
        for digests, why in self.gone:
            if digest in digests:
                raise ValueError(
                    f"{self.name}: the reading of this LATENT was let go to keep {why}. Change the seed, or any "
                    "setting of the probe, and run again."
                )
        raise ValueError(
            f"{self.name}: the LATENT does not come from a run that this probe has seen ({len(self.runs)} so far). "
            "Connect the probe's MODEL to the sampler, and that sampler's LATENT here. If both are, ComfyUI has kept "
            "the latent but not the reading: change the seed, or any setting of the probe, and run again."
        )


def free_memory() -> int:
    """Bytes of main memory that are free, as ComfyUI measures it."""
    return memory.free_main_memory()


def allowed(free: int, kept: int, part: int = PART, least: int = LEAST) -> int:
    """Bytes that may be taken in all, where `kept` are taken and `free` are still free."""
    return max(least, (free + kept) // part)


def shown(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def size_of(value: Any) -> int:
    """Bytes of all tensors in a reading, whatever dataclasses and lists they lie in."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if is_dataclass(value) and not isinstance(value, type):
        return sum(size_of(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return sum(map(size_of, value))
    return 0


def _digest(samples: Tensor) -> str:
    return sha256(samples.contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()
