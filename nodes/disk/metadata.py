"""What a .safetensors file says of itself beside its tensors. Pure."""

from __future__ import annotations

import json


def metadata_of(data: bytes) -> dict[str, str]:
    """`__metadata__` of a file that safetensors has read; {} if there is none, or null, which safetensors takes too."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__") or {}
