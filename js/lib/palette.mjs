// One hue for each road, the same in sockets, nodes, chips, tracks and plots (nodes/probe/plots/charts.py). Blue and amber
// differ for every kind of colour blindness; whatever they tell is told by words or shapes too.

export const CLIP = "#3f789e";
export const T5 = "#b06634";
// Lighter, for text and lines on ComfyUI's dark canvas.
export const ROADS = {
    clip: { name: "CLIP", hue: CLIP, light: "#7fb2d4", type: "FLUX_VEC" },
    t5: { name: "T5", hue: T5, light: "#dba377", type: "FLUX_TXT" },
};
