// Colours on the canvas: sockets, links and nodes of the CLIP stream are blue, those of the T5 stream amber.

import { app } from "../../scripts/app.js";
import { STREAMS } from "./lib/palette.mjs";

// [title, body]: the front end's own pale blue and brown, which its light theme brightens.
const TINTS = { clip: ["#2a363b", "#3f5159"], t5: ["#593930", "#6d4b3f"] };
const NODES = {
    clip: ["FluxDuetLoadClip", "FluxDuetClipEncode", "FluxDuetBlendVec", "FluxDuetClipNegative"],
    t5: ["FluxDuetLoadT5", "FluxDuetT5Encode", "FluxDuetBlendTxt", "FluxDuetRegion", "FluxDuetNag"],
};

/** Sets the colours for both renderers. */
function colourLinks() {
    const drawn = [app.canvas.default_connection_color_byType, app.canvas.constructor.link_type_colors];
    const { style } = document.documentElement;
    for (const { type, hue } of Object.values(STREAMS)) {
        const variable = `--color-datatype-${type}`;
        for (const colours of drawn) colours[type] = hue;
        if (style.getPropertyValue(variable) !== hue) style.setProperty(variable, hue);
    }
    app.canvas.setDirty(true, true);
}

app.registerExtension({
    name: "fluxduet.Streams",

    setup() {
        colourLinks();
        // Loading a colour palette resets the colours of unknown types, without an event; but it changes the page's
        // style, which is observed here.
        const palette = new MutationObserver(colourLinks);
        palette.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
    },

    nodeCreated(node) {
        const stream = Object.keys(NODES).find(stream => NODES[stream].includes(node.comfyClass));
        if (stream) [node.color, node.bgcolor] = TINTS[stream];
    },
});
