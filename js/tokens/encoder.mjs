// Finds a node's encoder from the graph alone, without loading a model.

import { CLIP_POSITIONS, LONG_CLIP_POSITIONS } from "../lib/flux1_sizes.mjs";
import { source } from "../lib/walk.mjs";

const FILE = /\.(safetensors|sft|gguf|ckpt|pth?|bin)$/i;
const LONG_CLIP = /long[-_ ]?(clip|vit)/i;
const FAR = 50;

/** { positions, seen, file }: CLIP-L's positions, how they were found (a key of TEXTS.positions), and the file. */
export function clipPositions(node) {
    const loader = loaderOf(node);
    if (!loader) return { positions: CLIP_POSITIONS, seen: isFed(node) ? "unknown" : "none" };
    const files = (loader.widgets ?? []).map(widget => widget.value).filter(isFile);
    const long = files.find(file => LONG_CLIP.test(file));
    if (long) return { positions: LONG_CLIP_POSITIONS, seen: "long", file: long };
    if (!files.length) return { positions: CLIP_POSITIONS, seen: "unknown" };
    return { positions: CLIP_POSITIONS, seen: "short", file: files.join(", ") };
}

const isFile = value => typeof value === "string" && FILE.test(value);
const isFed = node => node.inputs?.some(input => input.name === "clip" && input.link != null);

/** The node that loads a CLIP, through nodes that pass it on, such as LoRA loaders. */
function loaderOf(node) {
    let at = source(node, "clip")?.node;
    for (let hops = 0; at && hops < FAR; hops++) {
        const passed = at.inputs?.findIndex(input => input.type === "CLIP") ?? -1;
        if (passed < 0) return at;
        at = source(at, passed)?.node;
    }
    return null;
}
