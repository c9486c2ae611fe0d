"""Stores a probe's readings by the latent that each run returned. Imports ComfyUI.

ComfyUI caches the outputs of the probe's node and of the sampler independently of each other, so the last reading need
not belong to the LATENT at hand. A reading is therefore looked up by comparing the latent's values.
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

MOST = 8  # readings that a probe keeps; the oldest is removed first
PART = 4  # readings take at most 1/PART of the memory that is free without them
LEAST = 2**26  # bytes that a probe may always take
REMEMBERED = 64  # removed readings that are remembered, for the error message
TYPES = (torch.float32, torch.float16, torch.bfloat16)  # dtypes in which a LATENT may come back


@dataclass(frozen=True)
class Unread:
    """Stored in place of a reading that failed, with the error message."""

    why: str


@dataclass(eq=False)
class ReadingStore:
    """The readings of one MODEL's runs. `name` is the node's name, for error messages."""

    name: str
    runs: OrderedDict[int, tuple[Tensor, Any]] = field(default_factory=OrderedDict)
    settings: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # run_settings.of_run, by run number
    count: int = 0
    gone: deque[tuple[set[str], str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def room(self) -> int:
        """Bytes that this probe's readings may take in total."""
        return allowed(free_memory(), size_of(list(self.runs.values())))

    def keep(self, samples: Tensor, reading: Any, settings: Mapping[str, Any] | None = None) -> None:
        """Stores the reading of the run that returned `samples`, and removes old readings that exceed the limits."""
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
        """The reading of the run that returned this LATENT. Raises ValueError if there is none."""
        return self.run(latent)[0]

    def run(self, latent: dict) -> tuple[Any, Mapping[str, Any]]:
        """(reading, settings of the run as of run_settings.of_run). Raises ValueError if there is no reading."""
        given = latent[SAMPLES]
        if wrong := int(given.isnan().sum()):
            raise ValueError(
                f"{self.name}: {wrong} of the {given.numel()} values of this LATENT are NaN: the model's numbers "
                "overflowed in this run, so there is nothing to read. Look at the picture without the probe; usual "
                "causes are half precision (fp16), an attention backend, or a weight or strength far too large."
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
                    f"{self.name}: the reading of this LATENT was removed to keep {why}. Change the seed, or any "
                    "setting of the probe, and run again."
                )
        raise ValueError(
            f"{self.name}: the LATENT does not come from a run that this probe has seen ({len(self.runs)} so far). "
            "Connect the probe's MODEL to the sampler, and that sampler's LATENT here. If both are, ComfyUI has kept "
            "the latent but not the reading: change the seed, or any setting of the probe, and run again."
        )


def free_memory() -> int:
    """Free main memory in bytes, as ComfyUI measures it."""
    return memory.free_main_memory()


def allowed(free: int, kept: int, part: int = PART, least: int = LEAST) -> int:
    """Bytes that may be taken in total, when `kept` are taken already and `free` are still free."""
    return max(least, (free + kept) // part)


def shown(size: int) -> str:
    """A size in bytes as text: "1.5 GB", "20 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def size_of(value: Any) -> int:
    """Bytes of all tensors in a reading, nested in dataclasses, mappings and sequences."""
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
