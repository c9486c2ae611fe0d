"""A placeholder for a T5 whose file has not been read, with the names and shapes of its weights. Imports ComfyUI.

The file is read when a weight is first needed. With a prompt from the embedding store that never happens, so Load T5,
LoRA loaders and T5 Encode run without reading 9.8 GB.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ...compat.text_encoders import T5, SDClipModel, transformer_of


class Unread(nn.Module):
    """Placeholder in `encoder.transformer` for the T5 that `read` loads and puts there.

    `outline` is that T5 on the meta device, which takes no memory: its `state_dict` has the names for LoRA loaders and
    the shapes for ComfyUI's memory estimates. Any other access reads the file and is forwarded to the loaded T5.
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
        return self  # moving to a device or casting: there are no weights yet


def read(encoder: SDClipModel) -> None:
    """Loads an encoder's weights if they have not been read."""
    transformer = transformer_of(encoder)
    if isinstance(transformer, Unread):
        transformer.read()
