// A place of our own on a node: a DOM widget that is neither saved in the workflow nor sent to the server, in a shadow
// root, so that neither the front end's style sheets nor ours reach across.

import { element, styles } from "./dom.mjs";

const BASE = styles(`
    :host { display: block; box-sizing: border-box; overflow: hidden; pointer-events: auto; }
    * { box-sizing: border-box; }
    .panel { font: 12px/1.4 Inter, system-ui, sans-serif; color: var(--input-text, #ddd); height: 100%; }
    button { font: inherit; color: inherit; }
    :focus-visible { outline: 2px solid var(--p-primary-color, #5b9bd5); outline-offset: 1px; }
`);
const MARGIN = 10; // what the front end keeps free around a DOM widget
// Vue nodes tell widgets apart by node, name and type. Undo makes a node anew, and would leave the former one's element
// where it was: so each panel has a type of its own.
let made = 0;

/**
 * Adds a panel to `node`, below the widget named `after`, or below all.
 *
 * Returns { root, widget, resize }: fill `root`, an element; `resize(height)` makes room for that many pixels. A
 * widget's listeners on its own elements end with the node; others are for the caller to end in `node.onRemoved`.
 *
 * @param {any} node @param {string} name
 * @param {{ css?: string | CSSStyleSheet, height?: number, after?: string | null }} [options]
 */
export function panel(node, name, { css = "", height = 40, after = null } = {}) {
    const host = element("div");
    const shadow = host.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = css ? [BASE, typeof css === "string" ? styles(css) : css] : [BASE];
    const root = element("div", { className: "panel" });
    shadow.append(root);

    let wanted = height;
    const tall = () => wanted + 2 * MARGIN;
    const widget = node.addDOMWidget(name, `fluxduet_panel_${++made}`, host, {
        serialize: false, hideOnZoom: false, margin: MARGIN,
        getMinHeight: tall, getMaxHeight: tall, getValue: () => "", setValue: () => {},
    });
    widget.serialize = false;
    if (after) place(node, widget, after);
    host.style.minHeight = `${height}px`; // Vue nodes measure the element

    function resize(height) {
        if (height === wanted) return;
        wanted = height;
        host.style.minHeight = `${height}px`;
        fit(node);
    }
    return { root, widget, resize };
}

/** As tall as its widgets need, never less tall than the user made it, and as wide as it is. */
export function fit(node) {
    const [width, height] = node.size;
    const least = node.computeSize([width, height])[1];
    if (least > height) node.setSize([width, least]);
    node.setDirtyCanvas?.(true, true);
}

/** Moves a widget that is not saved between saved ones; a workflow's values keep the places that Python gives them. */
function place(node, widget, after) {
    node.widgets.splice(node.widgets.indexOf(widget), 1);
    node.widgets.splice(node.widgets.findIndex(other => other.name === after) + 1, 0, widget);
    if (node.fluxDuetCompact) return;
    node.fluxDuetCompact = true;
    // The front end leaves a hole at an unsaved widget's place, and reads the values back without one.
    const before = node.onSerialize;
    node.onSerialize = function (data) {
        before?.call(this, data);
        data.widgets_values &&= this.widgets.filter(widget => widget.serialize !== false).map(widget => widget.value);
    };
}
