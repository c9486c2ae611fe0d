// File names as in Save Image: %date:yyyy-MM-dd% and %Node.widget% are replaced when the prompt is queued; the workflow
// keeps the text as typed. The server replaces the others (%year%, %hour%).

import { app } from "../../scripts/app.js";

const NAMES = { FluxDuetSaveStream: "filename_prefix" };

/** The name, with placeholders replaced by the front end's own function; unchanged if it has none. */
const filledIn = name => window.comfyAPI?.utils?.applyTextReplacements?.(app, name) ?? name;

app.registerExtension({
    name: "fluxduet.Names",

    nodeCreated(node) {
        const widget = node.widgets?.find(({ name }) => name === NAMES[node.comfyClass]);
        if (widget) widget.serializeValue = () => filledIn(widget.value);
    },
});
