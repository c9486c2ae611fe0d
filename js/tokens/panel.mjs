// The panel under a prompt box: a header with the buttons of several features, and a body that can be folded.

import { app } from "../../../scripts/app.js";
import { element } from "../lib/dom.mjs";
import { chain } from "../lib/life.mjs";
import { STREAMS } from "../lib/palette.mjs";
import { panel } from "../lib/panel.mjs";
import { TIP_CSS, addTip, tip } from "../lib/tip.mjs";
import { CHIPS_CSS, ROW } from "./chips.mjs";
import { TEXTS } from "./texts.mjs";

const HEADER = 22;
const BODY = 3 * ROW;
const EDGE = 4; // below the body
const FOLDED = "flux_duet_folded"; // in the node's properties
const CSS = `
    :host { --light: color-mix(in srgb, var(--stream) 55%, var(--input-text, #ddd)); }
    .panel { display: flex; flex-direction: column; padding: 0 6px ${EDGE}px; border-radius: 6px;
        background: var(--comfy-input-bg, #222); }
    .panel[data-folded] { height: ${HEADER}px; padding-bottom: 0; }
    .header { flex: none; height: ${HEADER}px; display: flex; align-items: center; gap: 8px; white-space: nowrap; }
    .count { display: flex; gap: 8px; align-items: baseline; font-size: 11px; min-width: 0; border-radius: 3px;
        cursor: default; font-variant-numeric: tabular-nums; color: var(--descrip-text, #999); }
    .count[data-old] { opacity: .45; }
    .count b { font-weight: 600; color: var(--input-text, #ddd); }
    .count .cut { font-weight: 600; color: var(--error-text, #ff5a5a); }
    .count .cut::before { content: "\\25b2"; font-size: 8px; margin-right: 3px; vertical-align: 1px; }
    .count .warned { font-weight: 700; padding: 0 5px; border-radius: 7px; color: #222; background: #e6b422; }
    .meter { flex: 1; min-width: 12px; height: 3px; border-radius: 2px; overflow: hidden;
        background: color-mix(in srgb, var(--input-text, #ddd) 14%, transparent); }
    .meter div { height: 100%; border-radius: 2px; background: var(--stream); transition: width .12s; }
    .meter[data-full] div { background: var(--error-text, #ff5a5a); }
    .tools { display: flex; gap: 4px; align-items: center; margin-left: auto; }
    .tools button { height: 18px; min-width: 18px; padding: 0 4px; display: inline-flex; align-items: center; gap: 4px;
        font-size: 11px; border: 0; border-radius: 4px; background: none; color: var(--descrip-text, #999);
        cursor: pointer; }
    .tools button:hover { background: color-mix(in srgb, var(--input-text, #ddd) 12%, transparent);
        color: var(--input-text, #ddd); }
    .tools button[aria-disabled=true] { opacity: .45; cursor: default; }
    .tools button[aria-pressed=true] { color: var(--light); font-weight: 600;
        background: color-mix(in srgb, var(--stream) 30%, transparent); }
    .fold svg { transition: transform .12s; }
    .fold[aria-expanded=false] svg { transform: rotate(-90deg); }
    .body { flex: 1; min-height: ${BODY}px; position: relative; }
    .body > * { position: absolute; inset: 0; }
    .message { font-size: 11px; color: var(--descrip-text, #999); overflow: hidden; }
    [hidden] { display: none !important; }
    ${CHIPS_CSS}
    ${TIP_CSS}
`;
const ARROW = `<svg width="10" height="10" viewBox="0 0 10 10" fill="none" stroke="currentColor" stroke-width="1.5"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 3.5 5 6.5 8 3.5"/></svg>`;
const made = new WeakMap();

/**
 * The node's panel, created on first use: { count, meter, tools, body, tip }.
 *
 * `count`, `meter` and `tools` (for buttons) are elements of the header.
 */
export function promptPanel(node) {
    if (!made.has(node)) made.set(node, make(node));
    return made.get(node);
}

function make(node) {
    const stream = node.comfyClass === "FluxDuetClipEncode" ? STREAMS.clip : STREAMS.t5;
    const { root, resize } = panel(node, "tokens", { css: CSS, height: HEADER + BODY + EDGE, after: "text" });
    // A new node's text box keeps the height that it has without the panel.
    node.setSize([node.size[0], node.size[1] + HEADER + BODY + 2 * EDGE]);
    const host = root.getRootNode().host;
    host.style.setProperty("--stream", stream.hue);
    host.dataset.captureWheel = "true"; // in Vue nodes, the focused element scrolls

    const hint = tip(root);
    const count = element("div", { className: "count", tabIndex: 0 });
    const meter = element("div", { className: "meter", hidden: true }, element("div"));
    const fold = element("button", { className: "fold", type: "button" });
    fold.innerHTML = ARROW;
    const tools = element("div", { className: "tools" }, fold);
    const body = element("div", { className: "body" });
    root.prepend(element("div", { className: "header" }, count, meter, tools), body);
    addTip(hint, fold, () => [fold.ariaLabel]);
    folds(node, { root, fold, body, resize });
    keepToItself(root);
    return { count, meter, tools, body, tip: hint };
}

/** Shows or hides the body, and stores that in the node's properties. */
function folds(node, { root, fold, body, resize }) {
    function arrange() {
        const folded = Boolean(node.properties[FOLDED]);
        body.hidden = folded;
        root.toggleAttribute("data-folded", folded);
        fold.setAttribute("aria-expanded", String(!folded));
        fold.ariaLabel = folded ? TEXTS.unfold() : TEXTS.fold();
        resize(folded ? HEADER : HEADER + BODY + EDGE);
    }
    fold.addEventListener("click", () => {
        app.canvas.emitBeforeChange(); // a step of undo
        node.properties[FOLDED] = !node.properties[FOLDED];
        app.canvas.emitAfterChange();
        arrange();
    });
    chain(node, "onConfigure", arrange);
    arrange();
}

/** Keeps events in the panel from dragging or zooming the canvas. */
function keepToItself(root) {
    root.addEventListener("pointerdown", event => event.stopPropagation());
    root.addEventListener("keydown", event => {
        const isPressed = event.target.closest("button") && (event.key === "Enter" || event.key === " ");
        if (isPressed) event.stopPropagation();
    });
    root.addEventListener("wheel", event => {
        const list = event.target.closest(".chips");
        if (list && list.scrollHeight > list.clientHeight && !event.ctrlKey) event.stopPropagation();
    });
}
