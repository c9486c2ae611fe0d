// Shows inputs that hold a list of blocks as strips to paint. The text widget stays what is saved and run.

import { app } from "../../scripts/app.js";
import { Picker } from "./blocks/view.mjs";
import { STREAMS } from "./lib/palette.mjs";

const KEY = "flux_duet_blocks"; // set by nodes/condition/blocks.py, `painted`
const NEUTRAL = { name: "", hue: "var(--descrip-text, #999)" };
const WIDTH = 400;

/** A node's inputs with a list of blocks, as described by the Python schema. */
function listsOf({ input }) {
    const inputs = Object.entries({ ...input?.required, ...input?.optional });
    return inputs.flatMap(([widget, [, options]]) => {
        const list = options?.[KEY];
        const { name, hue } = STREAMS[list?.stream] ?? NEUTRAL;
        return list ? [{ ...list, widget, name, hue }] : [];
    });
}

app.registerExtension({
    name: "fluxduet.Blocks",

    nodeCreated(node) {
        const lists = listsOf(node.constructor.nodeData ?? {});
        if (!lists.length) return;
        new Picker(node, lists);
        const [width, height] = node.computeSize();
        node.setSize([Math.max(width, WIDTH, node.size[0]), Math.max(height, node.size[1])]);
    },
});
