"""What Embedding Store's schema shares with its run. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """For all runs: whether the store is used, and how many MB it may take."""

    on: bool = True
    limit_mb: int = 2048
