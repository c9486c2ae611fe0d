// The panel of Show Heatmap and Heatmap of a Picture: the picture, the words, and a map of where a word acts.

import { results } from "./lib/results.mjs";
import { CSS, HeatmapView, TEXTS } from "./heatmap/view.mjs";

for (const [name, kind] of [["Heatmap", "FluxDuetHeatmapShow"], ["PictureHeatmap", "FluxDuetPictureHeatmap"]]) {
    results({
        name: `fluxduet.${name}`, kind, size: [460, 400], css: CSS, empty: TEXTS.empty, View: HeatmapView,
    });
}
