// How many blocks the model has that a prompt goes to, as far as the graph tells.

import { BLOCKS } from "../lib/flux1_sizes.mjs";
import { modelsOf, samplers } from "../lib/runs.mjs";
import { TEXTS } from "./texts.mjs";

const FLUX = { ...BLOCKS, name: TEXTS.flux };
// Models of other depths, by their files.
const OTHERS = [{ file: /nano_flux/i, double: 2, single: 4 }];

/** { double, single, name }; FLUX.1's own where no other model is seen. */
export function depthOf(node) {
    for (const at of modelsOf([node, ...samplers(node)])) {
        for (const { value } of at.widgets ?? []) {
            const other = OTHERS.find(({ file }) => file.test(value));
            if (other) return { ...other, name: value };
        }
    }
    return FLUX;
}
