"""A state_dict for a CLIP with T5 alone that makes LoRAs match it as in a CLIP with CLIP-L and T5. Pure.

In a LoRA for FLUX.1, T5 is the second or third text encoder (`lora_te2_` of OneTrainer, `lora_te3_` of kohya). ComfyUI
numbers the encoders that a CLIP has (comfy.lora.model_lora_keys_clip), so T5 alone would be the first. It checks for
CLIP-L in the keys of the model's state_dict, so these keys claim to contain a CLIP-L weight.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import KeysView

# One key is enough. CLIP-L has no such layer, so no LoRA for CLIP-L matches it.
CLIP_L_SEAT = "clip_l.transformer.text_model.encoder.layers.31.mlp.fc1.weight"


class BesideClipL(OrderedDict):
    """A T5 model's state_dict whose `keys()` claim to contain CLIP_L_SEAT.

    Its content, iteration and length are T5's weights only, so saving, merging and patching are not affected.
    """

    def keys(self) -> KeysView:  # type: ignore[override]  # the built-in view has a type of its own
        return _Names(self)


class _Names(KeysView):
    _mapping: BesideClipL

    def __contains__(self, name) -> bool:
        return name == CLIP_L_SEAT or name in self._mapping
