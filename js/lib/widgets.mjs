// A node's native widgets, whose values the panels edit.

import { app } from "../../../scripts/app.js";

const named = (node, name) => node.widgets.find(widget => widget.name === name);

export const valueOf = (node, name) => named(node, name)?.value;

/** Whether the widget's value comes from another node, so that it cannot be edited. */
export function isLinked(node, name) {
    return node.inputs?.some(input => input.widget?.name === name && input.link != null) ?? false;
}

/** Sets widgets, { name: value } for each of `changes` [node, values], as one step of undo. */
export function setValues(...changes) {
    app.canvas.emitBeforeChange();
    try {
        for (const [node, values] of changes) {
            for (const [name, value] of Object.entries(values)) {
                const widget = named(node, name);
                if (!widget || widget.value === value) continue;
                widget.value = value;
                widget.callback?.(value);
            }
            node.setDirtyCanvas?.(true, true);
        }
    } finally {
        app.canvas.emitAfterChange();
    }
}

/** Calls `changed` whenever the value of one of these widgets changes, for any reason. */
export function watch(node, names, changed) {
    for (const name of names) {
        const widget = named(node, name);
        if (!widget) continue;
        const before = widget.callback;
        widget.callback = function (...given) {
            const result = before?.apply(this, given);
            changed(name);
            return result;
        };
    }
}
