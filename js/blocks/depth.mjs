// Finds the number of blocks of the model that a prompt goes to, from the graph.

import { BLOCKS } from "../lib/flux1_sizes.mjs";
import { modelsOf, samplers } from "../lib/runs.mjs";
import { TEXTS } from "./texts.mjs";

const FLUX = { ...BLOCKS, name: TEXTS.flux };
// Models with other numbers of blocks, by file name.
const OTHERS = [{ file: /nano_flux/i, double: 2, single: 4 }];

/** { double, single, name }; FLUX.1's if no other model is found. */
export function depthOf(node) {
    for (const at of modelsOf([node, ...samplers(node)])) {
        for (const { value } of at.widgets ?? []) {
            const other = OTHERS.find(({ file }) => file.test(value));
            if (other) return { ...other, name: value };
        }
    }
    return FLUX;
}
