"""Facts about the cells that workers made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HERE = "this machine"

Facts = Mapping[str, Any]  # host, device, seconds, tries


def facts_of(made: Sequence[Facts | None]) -> list[dict[str, Any]]:
    """Each cell's machine, seconds and tries, for the JSON."""
    return [{"machine": machine_of(each), **{name: each and each[name] for name in ("seconds", "tries")}}
            for each in made]  # fmt: skip


def machine_of(facts: Facts | None) -> str:
    """Where a cell was made, in words."""
    return HERE if facts is None else f"{facts['host']}, {facts['device']}"
