// Prompt boxes on a subgraph's node: LiteGraph shows no name on a text box, so each shows its own in its prompt's colour.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { STREAMS } from "./lib/palette.mjs";

const HUES = { FluxDuetClipEncode: STREAMS.clip.hue, FluxDuetT5Encode: STREAMS.t5.hue };

app.registerExtension({
    name: "fluxduet.Outside",

    setup() {
        api.addEventListener("graphChanged", markAll);
    },

    afterConfigureGraph: markAll,
});

function markAll() {
    for (const node of app.graph.nodes) if (node.isSubgraphNode?.()) mark(node);
}

function mark(host) {
    for (const { name, label, linkIds } of host.subgraph.inputs) {
        const hue = linkIds.map(id => hueOf(host.subgraph, id)).find(Boolean);
        const box = host.widgets?.find(widget => widget.name === name)?.element;
        if (hue && box instanceof HTMLTextAreaElement) show(box, label ?? name, hue);
    }
}

/** The hue of the prompt whose text an inner link is; undefined for any other link. */
function hueOf(graph, id) {
    const link = graph.getLink(id);
    const node = link && graph.getNodeById(link.target_id);
    return node?.inputs[link.target_slot]?.name === "text" ? HUES[node.comfyClass] : undefined;
}

function show(box, label, hue) {
    if (box.dataset.fluxDuetLabel === label) return;
    box.dataset.fluxDuetLabel = label;
    box.placeholder = label;
    const width = 8 * label.length + 16;
    const text = label.replace(/[<>&"]/g, "");
    const badge = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="18">
        <rect width="${width}" height="18" rx="4" fill="${hue}"/>
        <text x="${width / 2}" y="13" font-family="sans-serif" font-size="11" fill="#fff" text-anchor="middle">${text}</text>
    </svg>`;
    Object.assign(box.style, {
        backgroundImage: `url("data:image/svg+xml,${encodeURIComponent(badge)}")`,
        backgroundRepeat: "no-repeat",
        backgroundPosition: "right 6px bottom 6px",
        boxShadow: `inset 3px 0 ${hue}`,
    });
}
