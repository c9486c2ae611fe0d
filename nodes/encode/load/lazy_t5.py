"""A T5 whose file has not been read, with the real one's names and sizes. Imports ComfyUI.

It turns into the real one when a weight is needed. With a stored prompt none ever is, so that a run can pass Load T5,
LoRA loaders and T5 Encode without the 9.8 GB.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ...compat.text_encoders import T5, SDClipModel, transformer_of


class Unread(nn.Module):
    """Stands in `encoder.transformer` for the T5 that `read` will put there.

    `outline` is that T5 on the meta device: its `state_dict` gives LoRA loaders the names to match, its sizes ComfyUI's
    memory estimates, and it takes no memory. Whoever goes further, to a layer or a weight, is led to the real one.
    """

    def __init__(self, outline: T5, read: Callable[[], T5]):
        super().__init__()
        self._modules.update(outline._modules)
        self.num_layers, self.dtype = outline.num_layers, outline.dtype
        self.read = read

    def __getattr__(self, name: str):
        if name in self.__dict__["_modules"] or hasattr(T5, name):
            return getattr(self.read(), name)
        return super().__getattr__(name)

    def forward(self, *args, **kwargs):
        return self.read()(*args, **kwargs)

    def _apply(self, fn, recurse=True):
        return self  # moved to a device, or cast: there is nothing to move yet


def read(encoder: SDClipModel) -> None:
    """Makes sure that an encoder has its weights."""
    transformer = transformer_of(encoder)
    if isinstance(transformer, Unread):
        transformer.read()
