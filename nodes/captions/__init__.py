"""Caption Check: what CLIP-L and T5 read of the captions that a LoRA is trained with."""
