// Lists of blocks as strips to paint, wherever the server says that a text is one. The text stays what is saved and
// run.

import { app } from "../../scripts/app.js";
import { Picker } from "./blocks/view.mjs";
import { STREAMS } from "./lib/palette.mjs";

const KEY = "flux_duet_blocks"; // as nodes/condition/blocks.py writes it
const NEUTRAL = { name: "", hue: "var(--descrip-text, #999)" };
const WIDTH = 400;

/** The lists among a node's inputs, as Python describes them. */
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
