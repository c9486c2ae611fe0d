"""Under which names ComfyUI keeps what FLUX.1 reads: one place for them, as family.py is for its classes.

Each stream has two names: in a CONDITIONING, and as an argument of the model. Another family would be added here and in
family.py.
"""

# In an entry of a CONDITIONING, beside txt, which is its first part.
POOLED = "pooled_output"  # vec
MASK, MASK_SIZE = "attention_mask", "attention_mask_img_shape"  # [B, q, k], and the image tokens it is for

# In the `model_conds` of an entry that is ready to be sampled, and Flux.forward's arguments.
Y = "y"  # vec
C_CROSSATTN = "c_crossattn"  # txt
MODEL_CONDS = "model_conds"

# The encoders inside a CLIP's model and in its tokenizer, and their lists of tokens.
CLIP_L, T5XXL = "clip_l", "t5xxl"
TOKENS = {CLIP_L: "l", T5XXL: "t5xxl"}
