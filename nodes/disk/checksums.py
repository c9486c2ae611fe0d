"""Checksums of tensors. Pure torch."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def checksum(tensor: Tensor) -> str:
    """sha256 (hex) of a tensor's dtype, shape and bytes. Expects a contiguous tensor on the CPU."""
    digest = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
