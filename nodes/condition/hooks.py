"""How to merge extras that both streams carry with different values. Imports ComfyUI."""

from __future__ import annotations

from ..compat.patches import combine_hooks
from ..keys import HOOKS


def _both_hooks(vec_hooks, txt_hooks):
    """Hooks of two CLIPs: the model gets both groups, as with ComfyUI's Combine Hooks."""
    return combine_hooks(txt_hooks, vec_hooks)


MERGES = {HOOKS: _both_hooks}  # for conditioning.join
