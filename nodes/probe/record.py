"""What a probe has read, kept by the latent that each run came to. Pure torch.

ComfyUI runs a node again, or takes what it gave from its cache. A probe's node and the sampler's are cached one by one,
so a reading is never taken for the run's on trust: it is found by the very latent that is to be explained.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MOST = 8  # runs whose readings a probe keeps; the oldest goes first


@dataclass(eq=False)
class Probe:
    """The readings of the runs of one MODEL. `name` is the node's, for what there is to say."""

    name: str
    runs: OrderedDict[int, tuple[Tensor, Any]] = field(default_factory=OrderedDict)
    count: int = 0

    def keep(self, samples: Tensor, reading: Any) -> None:
        """The reading of a run that came to `samples`."""
        self.count += 1
        self.runs[self.count] = (samples.detach().to("cpu", torch.float32, copy=True), reading)
        while len(self.runs) > MOST:
            self.runs.popitem(last=False)

    def reading(self, latent: dict) -> Any:
        """That of the run which gave this LATENT. Raises ValueError where no run of this probe did."""
        samples = latent["samples"].to("cpu", torch.float32)
        for kept, reading in reversed(self.runs.values()):
            if kept.shape == samples.shape and torch.equal(kept.to(latent["samples"].dtype).float(), samples):
                return reading
        raise ValueError(
            f"{self.name}: the LATENT does not come from a run that this probe has seen ({len(self.runs)} so far). "
            "Connect the probe's MODEL to the sampler, and that sampler's LATENT here. If both are, ComfyUI has kept "
            "the latent but not the reading: change the seed, or any setting of the probe, and run again."
        )
