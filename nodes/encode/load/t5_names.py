"""The names of a lone T5's weights, so that LoRAs find it as they find it beside CLIP-L. Pure.

A LoRA for FLUX.1 calls T5 its second or third text encoder (`lora_te2_` of OneTrainer, `lora_te3_` of kohya), as T5 is
beside CLIP-L. ComfyUI numbers the encoders of a CLIP by those that are in it (comfy.lora.model_lora_keys_clip), so that
a lone T5 would be the first. It looks among the names of the model's state_dict, and so that is where CLIP-L is seen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import KeysView

# One name is enough. It is of a layer that no CLIP-L has, so that no LoRA for CLIP-L is taken for one that acts here.
CLIP_L_SEAT = "clip_l.transformer.text_model.encoder.layers.31.mlp.fc1.weight"


class BesideClipL(OrderedDict):
    """A T5 model's state_dict whose `keys()`, asked for CLIP-L, say that it is there. It holds, lists and counts T5's
    weights alone, so that what saves, merges or patches them has nothing else in its hands.
    """

    def keys(self) -> KeysView:  # type: ignore[override]  # the built-in view has a type of its own
        return _Names(self)


class _Names(KeysView):
    _mapping: BesideClipL

    def __contains__(self, name) -> bool:
        return name == CLIP_L_SEAT or name in self._mapping
