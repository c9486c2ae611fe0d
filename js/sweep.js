// Switch Sweep's panel: the film strip with the step at which the picture is decided, and a chart below it.

import { results } from "./lib/results.mjs";
import { CSS, SIZE, SweepView, TEXTS } from "./sweep/view.mjs";

results({ name: "fluxduet.Sweep", kind: "FluxDuetSweep", size: SIZE, css: CSS, empty: TEXTS.empty, View: SweepView });
