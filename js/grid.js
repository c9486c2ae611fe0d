// Prompt Grid's panel: the sheet, one cell enlarged after a click, its prompts, and the shares of the variance.

import { CSS, GridView, SIZE, TEXTS } from "./grid/view.mjs";
import { results } from "./lib/results.mjs";

results({ name: "fluxduet.Grid", kind: "FluxDuetGrid", size: SIZE, css: CSS, empty: TEXTS.empty, View: GridView });
