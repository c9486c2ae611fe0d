"""What the schemas of Encoder Influence and Show Influence share with their runs. Pure."""

from __future__ import annotations

NAME = "Encoder Influence"
PARTS = ("whole run", "first third", "middle third", "last third")
