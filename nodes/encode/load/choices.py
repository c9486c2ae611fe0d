"""Which files are text encoders, by the names of their tensors: a loader offers them first. Pure."""

from __future__ import annotations

CLIP_MARK = "text_model.encoder.layers.0.mlp.fc1.weight"
CLIP_TOO_DEEP = "text_model.encoder.layers.22.mlp.fc1.weight"  # CLIP-H and CLIP-G
T5_MARK = "encoder.block.0.layer.0.SelfAttention.q.weight"
UMT5_MARK = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"


def is_clip_l(names: frozenset[str]) -> bool:
    return CLIP_MARK in names and CLIP_TOO_DEEP not in names


def is_t5(names: frozenset[str]) -> bool:
    return T5_MARK in names and UMT5_MARK not in names
