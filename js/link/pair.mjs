// Finds pairs of CLIP-L Encode and T5 Encode: those whose outputs go to the same Dual Prompt and nowhere else.

import { source, targets } from "../lib/walk.mjs";

const ENDS = "FluxDuetDualPrompt";
const SIDES = {
    FluxDuetClipEncode: { type: "FLUX_VEC", across: "FLUX_TXT", other: "FluxDuetT5Encode" },
    FluxDuetT5Encode: { type: "FLUX_TXT", across: "FLUX_VEC", other: "FluxDuetClipEncode" },
};

/** The node types that can share a prompt. */
export const KINDS = Object.keys(SIDES);

/** The other node of `node`'s pair as { other }, or why there is none as { why }: "open", "alone", "many". */
export function pairOf(node) {
    const ends = endsOf(node);
    if (!ends.size) return { why: "open" };
    const across = facing(node, ends);
    if (!across.size) return { why: "alone" };
    const [other] = across;
    const back = facing(other, endsOf(other));
    return across.size === 1 && back.size === 1 && back.has(node) ? { other } : { why: "many" };
}

/** The encode nodes of the other stream that are linked to these Dual Prompts. */
function facing(node, ends) {
    const { across, other } = SIDES[node.comfyClass];
    const found = new Set(), seen = new Set();
    for (const end of ends) upstream(end, across, other, found, seen);
    return found;
}

/** The Dual Prompts that a node's output goes to, through any nodes in between. */
function endsOf(node) {
    const found = new Set(), seen = new Set();
    downstream(node, SIDES[node.comfyClass].type, found, seen);
    return found;
}

function downstream(node, type, found, seen) {
    if (seen.has(node)) return;
    seen.add(node);
    for (const [slot, output] of (node.outputs ?? []).entries()) {
        if (output.type !== type) continue;
        for (const { node: next } of targets(node, slot)) {
            if (next.comfyClass === ENDS) found.add(next);
            else downstream(next, type, found, seen);
        }
    }
}

function upstream(node, type, kind, found, seen) {
    if (seen.has(node)) return;
    seen.add(node);
    for (const [slot, input] of (node.inputs ?? []).entries()) {
        if (input.type !== type) continue;
        const before = source(node, slot)?.node;
        if (before?.comfyClass === kind) found.add(before);
        else if (before) upstream(before, type, kind, found, seen);
    }
}
