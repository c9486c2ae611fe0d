// Finds the samplers and the model of a prompt, from the graph alone.

import { source, targets } from "./walk.mjs";

const FAR = 50;
const PASSED_ON = ["FLUX_VEC", "FLUX_TXT", "CONDITIONING", "GUIDER"];

/** All samplers that use this node's output, the nearest first. */
export function* samplers(node) {
    const seen = new Set([node]);
    let ends = [node];
    for (let hops = 0; ends.length && hops < FAR; hops++) {
        const next = [];
        for (const { node: to } of ends.flatMap(end => [...fed(end)])) {
            if (seen.has(to)) continue;
            seen.add(to);
            next.push(to);
            if (to.outputs?.some(output => output.type === "LATENT")) yield to;
        }
        ends = next;
    }
}

function* fed(node) {
    for (const [slot, output] of (node.outputs ?? []).entries()) {
        if (PASSED_ON.includes(output.type)) yield* targets(node, slot);
    }
}

/** The nodes that the model passes, from the first of `nodes` with a model input back to its loader. */
export function* modelsOf(nodes) {
    const first = nodes.find(node => source(node, "model"));
    let at = first && source(first, "model").node;
    for (let hops = 0; at && hops < FAR; hops++) {
        yield at;
        at = source(at, "model")?.node;
    }
}

/** A widget's value, also if a node with a single value is linked to it; undefined if unknown. */
export function setting(node, name) {
    const input = node.inputs?.find(input => input.widget?.name === name && input.link != null);
    if (!input) return node.widgets?.find(widget => widget.name === name)?.value;
    const from = source(node, input.name);
    if (from?.host) return from.host.widgets?.find(widget => widget.name === from.input.widget?.name)?.value;
    const widgets = from?.node.inputs?.every(input => input.widget) ? from.node.widgets ?? [] : [];
    return widgets.find(widget => ["value", "string", "text"].includes(widget.name))?.value;
}
