// What all panels of results share: a place on the node, the last run's results in it, and no second preview beside it.
//
// A result is what the node gave as `ui`: names of files and a few numbers. It comes with the run, with the front end's
// own outputs when a workflow's tab is opened again, and from this tab's storage after a reload. The workflow itself
// never holds it: a result would make it larger, and each run a step of undo.

import { app } from "../../../scripts/app.js";
import { element } from "./dom.mjs";
import { chain, lives } from "./life.mjs";
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
`;
const NATIVE = ["$$node-text-preview", "$$canvas-image-preview"]; // the front end's own, of what the panel shows

/**
 * Registers the extension `name`: every node of the kind `kind` gets a panel of at least `size` = [width, height], and
 * shows there what its runs give.
 *
 * `new View(root, node)` fills `root`. Its `show(output)` is given the run's `ui`; `start()` and `stop()`, if there are
 * any, are called as the node comes into a graph and leaves it. Until there is a result the panel says `empty`.
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
    const { root, widget } = panel(node, name, { css: CSS + css, height });
    widget.options.getMaxHeight = undefined; // as much as the node has room for
    widget.options.selectOn = []; // what is done in the panel leaves the selection as it is, in both renderers
    node.setSize([Math.max(width, node.size[0]), Math.max(node.computeSize()[1], node.size[1])]);
    keepToItself(root);

    const filled = element("div", { className: "fill", hidden: true });
    const message = element("div", { className: "message quiet", role: "status", textContent: empty });
    root.append(message, filled);
    const shown = new View(filled, node);
    node.hideOutputImages = true; // Vue nodes
    node.fluxDuetResult = output => {
        hideNative(node, output);
        message.hidden = true;
        filled.hidden = false;
        shown.show(output);
    };
    chain(node, "onExecuted", output => {
        node.fluxDuetResult(output);
        remember(node, output);
    });
    lives(node, () => shown.start?.(), () => shown.stop?.());
}

/** The canvas must not drag the node, zoom or delete it for what happens in the panel. */
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

/** Takes the front end's text and picture off the node; LiteGraph takes up a picture that it does not know yet. */
function hideNative(node, output) {
    node.images = output.images;
    node.imgs = undefined;
    for (const widget of node.widgets.filter(widget => NATIVE.includes(widget.name))) node.removeWidget(widget);
}

// ---- what this tab remembers

const PREFIX = "fluxduet.result.";

function remember(node, output) {
    try {
        sessionStorage.setItem(PREFIX + place(node), JSON.stringify({ kind: node.comfyClass, output }));
    } catch {
        // Full, or switched off: then a result does not outlive a reload.
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

/** The front end's name for a node wherever it is: its id, behind that of the subgraph which it is in. */
function locator(node) {
    return node.graph.isRootGraph ? String(node.id) : `${node.graph.id}:${node.id}`;
}

function* everyNode(graph) {
    for (const node of graph.nodes) {
        yield node;
        if (node.subgraph) yield* everyNode(node.subgraph);
    }
}
