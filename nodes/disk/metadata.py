"""The metadata of a .safetensors file. Pure."""

from __future__ import annotations

import json


def metadata_of(data: bytes) -> dict[str, str]:
    """`__metadata__` of the bytes of a valid .safetensors file; {} if it is absent or null."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__") or {}
