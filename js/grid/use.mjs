// Copies a cell's prompts to the graph's encode nodes, as prompt or as negative prompt, or to the clipboard.

import { app } from "../../../scripts/app.js";
import { source } from "../lib/walk.mjs";
import { isLinked, setValues } from "../lib/widgets.mjs";
import { t } from "../lib/words.mjs";

const ENCODERS = { clip: "FluxDuetClipEncode", t5: "FluxDuetT5Encode" };
const TEXTS = {
    written: (...titles) => t("The prompts are now in: {titles}.", { titles: titles.join(", ") }),
    which: (clip, t5) => t("This graph has {clip} CLIP-L Encode and {t5} T5 Encode nodes. Select one of each and press "
        + "again.", { clip, t5 }),
    noPair: () => t("This graph has no CLIP-L Encode and no T5 Encode node."),
    noClip: () => t("This graph has no CLIP-L Encode node."),
    noT5: () => t("This graph has no T5 Encode node."),
    noNegative: () => t("No encode node leads to a `negative` input. Connect one and press again."),
    copied: () => t("Both prompts are copied to the clipboard."),
    notCopied: () => t("The clipboard is not available. Copy the prompts from above."),
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
    return `${why(there)} ${await copyPrompts(prompts)}`;
}

/** Copies both prompts to the clipboard. Returns a message with the result. */
export async function copyPrompts({ clip, t5 }) {
    return await copied(`CLIP: ${clip}\nT5: ${t5}`) ? TEXTS.copied() : TEXTS.notCopied();
}

/** Writes the prompts into the encode nodes that lead to `negative` inputs, as one step of undo. Returns a message. */
export function useAsNegative(node, prompts) {
    const found = new Set();
    for (const each of node.graph.nodes) if (each.inputs?.some(isNegative)) before(each, isNegative, found);
    const { clip, t5 } = encoders([...found]);
    if (!clip.length && !t5.length) return TEXTS.noNegative();
    setValues(...clip.map(each => [each, { text: prompts.clip }]), ...t5.map(each => [each, { text: prompts.t5 }]));
    return TEXTS.written(...[...clip, ...t5].map(each => each.title));
}

const isNegative = input => input.name === "negative";

/** Adds the nodes from which links lead to a node's inputs. */
function before(node, isMeant, found) {
    for (const [slot, input] of (node.inputs ?? []).entries()) {
        const from = isMeant(input) && source(node, slot)?.node;
        if (!from || found.has(from)) continue;
        found.add(from);
        before(from, each => ["CONDITIONING", "FLUX_VEC", "FLUX_TXT"].includes(each.type), found);
    }
}

/** The nodes whose text is not linked. */
function encoders(nodes) {
    const of = kind => nodes.filter(node => node.comfyClass === kind && !isLinked(node, "text"));
    return { clip: of(ENCODERS.clip), t5: of(ENCODERS.t5) };
}

/** Why no pair of encode nodes is chosen. */
function why(there) {
    const [clip, t5] = [there.clip.length, there.t5.length];
    if (clip && t5) return TEXTS.which(clip, t5);
    return clip ? TEXTS.noT5() : t5 ? TEXTS.noClip() : TEXTS.noPair();
}

async function copied(text) {
    try {
        await navigator.clipboard.writeText(text); // needs localhost or HTTPS
        return true;
    } catch {
        return false;
    }
}
