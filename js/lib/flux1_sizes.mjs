// FLUX.1's sizes, as in nodes/flux1_sizes.py: for where no model is seen.

export const BLOCKS = { double: 19, single: 38 };
export const CLIP_POSITIONS = 77;
export const LONG_CLIP_POSITIONS = 248;
export const TOKEN = 16; // the side of an image token, in the picture's pixels
export const MU_TOKENS = [256, 4096]; // the image tokens between which the shift is a line
export const DEV_SHIFT = 1.15; // at the larger of them, and ComfyUI's for FLUX.1 dev at every size
