// Panels on nodes: a DOM widget that is neither saved in the workflow nor sent to the server. It has a shadow root, so
// that the front end's styles and ours do not affect each other.

import { element, styles } from "./dom.mjs";

const BASE = styles(`
    :host { display: block; box-sizing: border-box; overflow: hidden; pointer-events: auto; }
    * { box-sizing: border-box; unicode-bidi: plaintext; } /* each text in its own direction */
    .panel { font: 12px/1.4 Inter, system-ui, sans-serif; color: var(--input-text, #ddd); height: 100%; }
    button { font: inherit; color: inherit; }
    :focus-visible { outline: 2px solid var(--p-primary-color, #5b9bd5); outline-offset: 1px; }
`);
const MARGIN = 10; // the front end's margin around a DOM widget
// Vue nodes identify widgets by node, name and type. After undo, which creates the node again, the old node's element
// would stay; so each panel has a unique type.
let made = 0;

/**
 * Adds a panel to `node`, below the widget named `after`, above that named `before`, or below all widgets.
 *
 * Returns { root, widget, resize }: `root` is an element to fill; `resize(height)` sets the height in pixels, which is
 * the least one if the panel `grows` with the node. Listeners
 * on the panel's own elements end with the node; the caller must remove others in `node.onRemoved`.
 *
 * @param {any} node @param {string} name
 * @param {{ css?: string | CSSStyleSheet, height?: number, after?: string | null, before?: string | null,
 *     grows?: boolean }} [options]
 */
export function panel(node, name, { css = "", height = 40, after = null, before = null, grows = false } = {}) {
    const host = element("div");
    const shadow = host.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = css ? [BASE, typeof css === "string" ? styles(css) : css] : [BASE];
    const root = element("div", { className: "panel" });
    shadow.append(root);

    let wanted = height;
    const tall = () => wanted + 2 * MARGIN;
    const most = grows ? {} : { getMaxHeight: tall };
    const widget = node.addDOMWidget(name, `fluxduet_panel_${++made}`, host, {
        serialize: false, hideOnZoom: false, margin: MARGIN, getMinHeight: tall, getValue: () => "",
        setValue: () => {}, ...most,
    });
    widget.serialize = false;
    // A widget with a size of its own gets no share of a node's free space, which is the text boxes'.
    if (!grows) Object.assign(widget, { computeSize: () => [0, tall()], computeLayoutSize: undefined });
    if (after) place(node, widget, after, 1);
    if (before) place(node, widget, before, 0);
    host.style.minHeight = `${height}px`; // Vue nodes measure the element

    function resize(height) {
        if (height === wanted) return;
        wanted = height;
        host.style.minHeight = `${height}px`;
        fit(node);
    }
    return { root, widget, resize };
}

/** Makes the node as tall as its widgets need, but not smaller than the user made it; keeps the width. */
export function fit(node) {
    const [width, height] = node.size;
    const least = node.computeSize([width, height])[1];
    if (least > height) node.setSize([width, least]);
    node.setDirtyCanvas?.(true, true);
}

/** Moves an unsaved widget between saved ones; the saved values keep the order of the Python schema. */
function place(node, widget, name, by) {
    node.widgets.splice(node.widgets.indexOf(widget), 1);
    node.widgets.splice(node.widgets.findIndex(other => other.name === name) + by, 0, widget);
    if (node.fluxDuetCompact) return;
    node.fluxDuetCompact = true;
    // The front end saves a hole at an unsaved widget's index, but does not expect one when it loads the values.
    const before = node.onSerialize;
    node.onSerialize = function (data) {
        before?.call(this, data);
        data.widgets_values &&= this.widgets.filter(widget => widget.serialize !== false).map(widget => widget.value);
    };
}
