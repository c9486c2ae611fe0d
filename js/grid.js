// Prompt Grid's panel: the sheet, each cell large at a click, its prompts for the encoders, and what explains the
// differences.

import { CSS, GridView, SIZE, TEXTS } from "./grid/view.mjs";
import { results } from "./lib/results.mjs";

results({ name: "fluxduet.Grid", kind: "FluxDuetGrid", size: SIZE, css: CSS, empty: TEXTS.empty, View: GridView });
