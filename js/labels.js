// Names in the corner of text boxes where a node has several: LiteGraph draws none. Vue nodes have boxes of their own,
// with names.

import { app } from "../../scripts/app.js";

const SIZE = 11, COLOUR = "#888"; // readable on dark and on light boxes
const EACH = 6.6; // pixels of a letter, at most

/** A picture of a text, for the background of a box. */
function drawn(text) {
    const [width, height] = [Math.ceil(text.length * EACH) + 8, SIZE + 6];
    const shown = text.replace(/[&<>]/g, sign => `&#${sign.charCodeAt(0)};`);
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><text x="${width - 6}"
        y="${SIZE}" text-anchor="end" font-size="${SIZE}" font-family="sans-serif" fill="${COLOUR}">${shown}</text></svg>`;
    return `url("data:image/svg+xml,${encodeURIComponent(svg)}")`;
}

function name(node, { name, label }) {
    return node.inputs?.find(input => input.widget?.name === name)?.localized_name ?? label ?? name;
}

app.registerExtension({
    name: "fluxduet.Labels",

    nodeCreated(node) {
        if (!node.comfyClass?.startsWith("FluxDuet")) return;
        const boxes = node.widgets?.filter(({ element }) => element?.tagName === "TEXTAREA") ?? [];
        if (boxes.length < 2) return;
        queueMicrotask(() => { // the front end translates the names
            for (const widget of boxes) {
                Object.assign(widget.element.style, {
                    backgroundImage: drawn(name(node, widget)), backgroundRepeat: "no-repeat",
                    backgroundPosition: "top right", backgroundAttachment: "local",
                });
            }
        });
    },
});
