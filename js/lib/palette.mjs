// The pack's colours, a copy of nodes/palette.py; tests/unit/test_palette.py compares. Blue and amber can be told apart
// with every kind of colour blindness; words or shapes repeat what they mean.

export const CLIP = "#3f789e";
export const T5 = "#ad6433";
// Lighter, for text and lines on ComfyUI's dark canvas.
export const STREAMS = {
    clip: { name: "CLIP", hue: CLIP, light: "#7fb2d4", type: "FLUX_VEC" },
    t5: { name: "T5", hue: T5, light: "#dba377", type: "FLUX_TXT" },
};
// Shares of the variance of a grid's pictures.
export const PARTS = {
    clip: CLIP, t5: T5, lora: "#2e5c3e", both: "#7a5c84", clip_lora: "#306e70", t5_lora: "#706430",
    clip_t5_lora: "#60525c", seed: "#6e727c", rest: "#8e919a"
};
