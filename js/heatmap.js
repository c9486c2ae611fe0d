// Show Heatmap's panel: the picture with the prompt's words beside it, and where in it each of them acts.

import { results } from "./lib/results.mjs";
import { CSS, HeatmapView, TEXTS } from "./heatmap/view.mjs";

results({
    name: "fluxduet.Heatmap", kind: "FluxDuetHeatmapShow", size: [460, 400], css: CSS, empty: TEXTS.empty,
    View: HeatmapView,
});
