// Show Influence's panel: what each prompt changes at each step, and the finding in a sentence.

import { CSS, InfluenceView, SIZE, TEXTS } from "./influence/view.mjs";
import { results } from "./lib/results.mjs";

results({
    name: "fluxduet.Influence", kind: "FluxDuetInfluenceShow", size: SIZE, css: CSS, empty: TEXTS.empty,
    View: InfluenceView,
});
