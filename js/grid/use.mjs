// Copies a cell's prompts to the graph's encode nodes.

import { app } from "../../../scripts/app.js";
import { isLinked, setValues } from "../lib/widgets.mjs";

const ENCODERS = { clip: "FluxDuetClipEncode", t5: "FluxDuetT5Encode" };
const NAMES = { clip: "CLIP-L Encode", t5: "T5 Encode" };
const TEXTS = {
    written: (clip, t5) => `Written into ${clip} and ${t5}.`,
    which: (counts) => `There are ${counts.join(" and ")} here. Select the two that you mean and press again.`,
    none: names => `There is no ${names.join(" and no ")} here.`,
    copied: "Both prompts are copied to the clipboard.", notCopied: "Copy the prompts from above.",
};

/**
 * Writes { clip, t5 } into the only pair of CLIP-L Encode and T5 Encode in the node's graph, or into the selected pair,
 * as one step of undo; else copies both to the clipboard. Returns a message with the result.
 */
export async function usePrompts(node, prompts) {
    const there = encoders(node.graph.nodes);
    const chosen = encoders([...app.canvas.selectedItems ?? []]);
    const pair = [chosen, there].find(each => each.clip.length === 1 && each.t5.length === 1);
    if (pair) {
        const [clip, t5] = [pair.clip[0], pair.t5[0]];
        setValues([clip, { text: prompts.clip }], [t5, { text: prompts.t5 }]);
        return TEXTS.written(clip.title, t5.title);
    }
    return `${why(there)} ${await copied(`CLIP: ${prompts.clip}\nT5: ${prompts.t5}`) ? TEXTS.copied : TEXTS.notCopied}`;
}

/** The nodes whose text is not linked. */
function encoders(nodes) {
    const of = kind => nodes.filter(node => node.comfyClass === kind && !isLinked(node, "text"));
    return { clip: of(ENCODERS.clip), t5: of(ENCODERS.t5) };
}

function why(there) {
    const missing = Object.keys(NAMES).filter(stream => !there[stream].length);
    if (missing.length) return TEXTS.none(missing.map(stream => NAMES[stream]));
    return TEXTS.which(Object.keys(NAMES).map(stream => `${there[stream].length} ${NAMES[stream]}`));
}

async function copied(text) {
    try {
        await navigator.clipboard.writeText(text); // needs localhost or HTTPS
        return true;
    } catch {
        return false;
    }
}
