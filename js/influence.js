// Show Influence's panel: the effect of each prompt at each step, and a summary.

import { CSS, InfluenceView, SIZE, TEXTS } from "./influence/view.mjs";
import { results } from "./lib/results.mjs";

results({
    name: "fluxduet.Influence", kind: "FluxDuetInfluenceShow", size: SIZE, css: CSS, empty: TEXTS.empty,
    View: InfluenceView,
});
