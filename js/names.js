// The name to save under, written as in Save Image: %date:yyyy-MM-dd% and %Node.widget% are filled in when the prompt is
// sent, and the workflow keeps what was typed. The rest (%year%, %hour%) is the server's.

import { app } from "../../scripts/app.js";

const NAMES = { FluxDuetSaveStream: "filename_prefix" };

/** By the front end's own function, which serves its list of nodes that save; as typed where it offers none. */
const filledIn = name => window.comfyAPI?.utils?.applyTextReplacements?.(app, name) ?? name;

app.registerExtension({
    name: "fluxduet.Names",

    nodeCreated(node) {
        const widget = node.widgets?.find(({ name }) => name === NAMES[node.comfyClass]);
        if (widget) widget.serializeValue = () => filledIn(widget.value);
    },
});
