// Show Heatmap's panel: the picture, the prompt's words, and a map of where a word acts.

import { results } from "./lib/results.mjs";
import { CSS, HeatmapView, TEXTS } from "./heatmap/view.mjs";

results({
    name: "fluxduet.Heatmap", kind: "FluxDuetHeatmapShow", size: [460, 400], css: CSS, empty: TEXTS.empty,
    View: HeatmapView,
});
