"""What a run's modulation table did, in a sentence. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Why layers computed their outputs by themselves.
UNKNOWN = "the sampler evaluates the model between the steps"
MOVING = "the prompt was new at that step, or changes at every step"
HOOKS = "a LoRA hook changes the weights during the run"
NOT_OWN = "another node has replaced or compiled the model's forward"
OTHERS = "another node has replaced the blocks, or a reference picture has its own modulation"
DEVICES = "the run is shared by several GPUs"
MEMORY = "there was no memory left for the table"


@dataclass
class Report:
    """Counts of a run: forwards served from the table, and others by the reason."""

    served: int = 0
    own: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    table_bytes: int = 0
    seconds: float = 0.0
    layers_bytes: int = 0
    model_bytes: int = 0

    def note(self, layers_bytes: int, model_bytes: int, rows: int, table_bytes: int, seconds: float) -> None:
        """Counts rows that were filled in."""
        self.layers_bytes, self.model_bytes = layers_bytes, model_bytes
        self.rows, self.table_bytes, self.seconds = (
            self.rows + rows, self.table_bytes + table_bytes, self.seconds + seconds
        )  # fmt: skip

    def sentence(self) -> str:
        """For the user; "" if nothing was evaluated."""
        total = self.served + self.own.total()
        reasons = "; ".join(f"{count} because {why}" for why, count in self.own.most_common())
        if not self.served:
            return f"Modulation Table: not used, {reasons.partition(' ')[2]}." if total else ""
        saved = (
            f"Modulation Table: {_sizes(self.layers_bytes, self.model_bytes)} of weights were read once for "
            f"{self.served} of {total} evaluations. The table has {self.rows} rows, {_sizes(self.table_bytes)}, built "
            f"in {self.seconds:.2g} s."
        )
        return f"{saved} Evaluations without it: {reasons}." if reasons else saved


def _sizes(*counts: int) -> str:
    """Bytes as "6.1 of 22.2 GiB", all in the largest one's unit."""
    unit, name = max(((2**20, "MiB"), (2**30, "GiB")), key=lambda each: each[0] <= max(counts) and each[0])
    return f"{' of '.join(f'{each / unit:.3g}' for each in counts)} {name}"
