"""ComfyUI's names (dictionary keys and arguments) for what FLUX.1 reads. Pure.

These are not the names of the streams, which are VEC and TXT in streams.py, nor those of nodes' inputs, of routes'
values and in files, even if they are equal. To support another model family, add its names here and its classes in
family.py.
"""

# In the dict of a CONDITIONING entry [txt, dict].
POOLED = "pooled_output"  # vec
GUIDANCE = "guidance"
MASK, MASK_SIZE = "attention_mask", "attention_mask_img_shape"  # [B, q, k], and the image tokens it is for
REFERENCES, REFERENCE_METHOD = "reference_latents", "reference_latents_method"  # Kontext's pictures
CONCAT_LATENT, CONCAT_MASK = "concat_latent_image", "concat_mask"  # what Fill, Canny and Depth read
CONTROL, HOOKS = "control", "hooks"  # a ControlNet, and LoRAs for a prompt
# Where and when it counts. The times are in percent / 100 and in sigma; an encoder's scheduled hooks give the third.
AREA, STRENGTH = "area", "strength"
PLACE_MASK, MASK_STRENGTH = "mask", "mask_strength"
AREA_TO_BOUNDS, DEFAULT = "set_area_to_bounds", "default"
START_PERCENT, END_PERCENT = "start_percent", "end_percent"
SIGMA_START, SIGMA_END = "timestep_start", "timestep_end"
CLIP_START, CLIP_END = "clip_start_percent", "clip_end_percent"

# In an entry that a guider has, and in its `model_conds`, which are Flux.forward's arguments.
CROSS_ATTN, UUID = "cross_attn", "uuid"  # txt, and the entry's own id
MODEL_CONDS = "model_conds"
Y = "y"  # vec
C_CROSSATTN = "c_crossattn"  # txt

# In a LATENT.
SAMPLES, NOISE_MASK, BATCH_INDEX = "samples", "noise_mask", "batch_index"

# In model_options, and in the transformer_options in them.
OPTIONS, MASK_FUNCTION = "transformer_options", "denoise_mask_function"
SAMPLE_SIGMAS = "sample_sigmas"  # of the whole run
SIGMAS, UUIDS, COND_OR_UNCOND = "sigmas", "uuids", "cond_or_uncond"  # of one forward: for each row, for each prompt
PATCHES, REPLACE = "patches", "patches_replace"  # functions between the parts of blocks, and in place of whole blocks
ATTN_INPUT, ATTN_OUTPUT = "attn1_patch", "attn1_output_patch"  # kinds of PATCHES
OVERRIDE = "optimized_attention_override"  # is called instead of ComfyUI's attention, with q, k, v after RoPE
BLOCK_INDEX, BLOCK_TYPE = "block_index", "block_type"
IMAGE_ROWS = "img_slice"  # in an attention's options: [number of text rows, number of all rows]

# Attributes of a CLIP's model and tokenizer, and the keys of their token lists.
CLIP_L, T5XXL = "clip_l", "t5xxl"
TOKENS = {CLIP_L: "l", T5XXL: "t5xxl"}

# Prefixes of weights' names in a MODEL; in a CLIP they begin with the encoder's attribute (CLIP_L, T5XXL).
TRANSFORMER = "diffusion_model."
ALPHA = "alpha"  # of a LoRA's layer, after its name and a dot: the change is multiplied by alpha / rank
LORA_METADATA = "lora_metadata"  # what LoraLoader attaches to a MODEL and a CLIP
