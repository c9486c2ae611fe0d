// Common code of the result panels: a panel on the node with the last run's results, instead of the native preview.
//
// A result is the node's `ui` output: file names and a few numbers. It comes from the run, from the front end's stored
// outputs when a workflow's tab is opened again, and from this tab's session storage after a reload. It is not saved in
// the workflow, which would become larger, and in which each run would be a step of undo.

import { app } from "../../../scripts/app.js";
import { element } from "./dom.mjs";
import { chain, lives } from "./life.mjs";
import { HISTORY_CSS, history } from "./history.mjs";
import { removeNative } from "./notice.mjs";
import { panel } from "./panel.mjs";

const CSS = `
    :host { position: relative; }
    /* A ground of its own: nodes have all kinds of colours. */
    .panel { position: absolute; inset: 0; display: flex; flex-direction: column; gap: 6px; padding: 8px;
        border-radius: 8px; background: var(--comfy-menu-bg, #171718); }
    .panel > * { flex: none; }
    .panel > .fill { flex: 1; min-height: 0; }
    .quiet { color: var(--descrip-text, #999); }
    .message { margin: auto; max-width: 28em; text-align: center; text-wrap: balance; }
    button { background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #444); border-radius: 6px;
        padding: 2px 8px; cursor: pointer; }
    button:hover { border-color: var(--descrip-text, #999); }
    button:disabled { opacity: .5; cursor: default; }
    ${HISTORY_CSS}
`;
const NATIVE = "$$canvas-image-preview"; // the front end's preview of the same pictures

/**
 * Registers the extension `name`: every node of the type `kind` gets a panel of at least `size` = [width, height] with
 * its results.
 *
 * `new View(root, node)` fills `root`. Its `show(output)` is called with the run's `ui`; `start()` and `stop()`, if
 * they exist, when the node is added to a graph and removed. Without a result the panel shows the text `empty()`.
 */
export function results({ name, kind, size, css, empty, View }) {
    const isOurs = node => node.comfyClass === kind && node.fluxDuetResult;
    app.registerExtension({
        name,
        nodeCreated(node) {
            if (node.comfyClass === kind) hang(node, { name, size, css, empty, View });
        },
        loadedGraphNode(node) {
            const output = isOurs(node) && (app.nodeOutputs?.[locator(node)] ?? remembered(node));
            if (output) node.fluxDuetResult(output);
        },
        onNodeOutputsUpdated(outputs) {
            for (const node of everyNode(app.rootGraph ?? app.graph)) {
                const output = isOurs(node) && outputs[locator(node)];
                if (output) node.fluxDuetResult(output);
            }
        },
    });
}

function hang(node, { name, size, css, empty, View }) {
    const [width, height] = size;
    const { root, widget } = panel(node, name, { css: CSS + css, height, grows: true });
    widget.options.selectOn = []; // clicks in the panel do not change the selection, in both renderers
    node.setSize([Math.max(width, node.size[0]), Math.max(node.computeSize()[1], node.size[1])]);
    keepToItself(root);

    const filled = element("div", { className: "fill", hidden: true });
    const message = element("div", { className: "message quiet", role: "status", textContent: empty() });
    const shown = new View(filled, node);
    const runs = history(output => shown.show(output));
    root.append(message, runs.root, filled);
    node.hideOutputImages = true; // Vue nodes
    node.fluxDuetResult = output => {
        hideNative(node, output);
        message.hidden = true;
        filled.hidden = false;
        runs.add(output);
    };
    chain(node, "onExecuted", output => {
        node.fluxDuetResult(output);
        remember(node, output);
    });
    lives(node, () => shown.start?.(), () => shown.stop?.());
}

/** Keeps events in the panel from dragging or deleting the node, and from zooming the canvas. */
function keepToItself(root) {
    root.addEventListener("pointerdown", event => event.stopPropagation());
    root.addEventListener("keydown", event => {
        const isCommand = event.ctrlKey || event.metaKey || event.key === "Escape";
        if (!isCommand && event.target !== root) event.stopPropagation();
    });
    root.addEventListener("wheel", event => {
        const scrolled = event.target.closest(".scrolls");
        if (scrolled && scrolled.scrollHeight > scrolled.clientHeight && !event.ctrlKey) event.stopPropagation();
    });
}

/** Removes the front end's previews from the node. LiteGraph would add back a picture that it has not seen yet. */
function hideNative(node, output) {
    node.images = output.images;
    node.imgs = undefined;
    removeNative(node);
    for (const widget of node.widgets.filter(widget => widget.name === NATIVE)) node.removeWidget(widget);
}

// ---- session storage

const PREFIX = "fluxduet.result.";

function remember(node, output) {
    try {
        sessionStorage.setItem(PREFIX + place(node), JSON.stringify({ kind: node.comfyClass, output }));
    } catch {
        // Full or disabled: the result is lost after a reload.
    }
}

function remembered(node) {
    try {
        const kept = JSON.parse(sessionStorage.getItem(PREFIX + place(node)));
        return kept?.kind === node.comfyClass ? kept.output : null;
    } catch {
        return null;
    }
}

const place = node => `${node.graph.rootGraph.id}/${locator(node)}`;

/** The front end's id of a node in any graph: in a subgraph, the ids of the subgraph's node and of the node. */
function locator(node) {
    return node.graph.isRootGraph ? String(node.id) : `${node.graph.id}:${node.id}`;
}

function* everyNode(graph) {
    for (const node of graph.nodes) {
        yield node;
        if (node.subgraph) yield* everyNode(node.subgraph);
    }
}
