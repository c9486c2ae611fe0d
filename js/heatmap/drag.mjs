// Drags a word from the list onto another node: its mask output is linked to that node's mask input, and the word is
// the one whose mask the node outputs.

import { app } from "../../../scripts/app.js";
import { element } from "../lib/dom.mjs";
import { setValues } from "../lib/widgets.mjs";

const FAR = 6; // pixels from which on a press is a drag
const MASK = "MASK";
const GHOST = {
    position: "fixed", zIndex: "9999", pointerEvents: "none", padding: "3px 8px", borderRadius: "6px",
    font: "12px Inter, system-ui, sans-serif", color: "var(--input-text, #ddd)",
    background: "var(--comfy-menu-bg, #222)", border: "1px solid var(--border-color, #4e4e4e)",
};

/** Makes `button` draggable as `word` of `node`. */
export function dragWord(button, word, node) {
    let from = null, ghost = null;

    function end() {
        ghost?.remove();
        from = ghost = null;
    }
    button.addEventListener("pointerdown", event => {
        if (event.button === 0) from = [event.clientX, event.clientY];
    });
    button.addEventListener("pointermove", event => {
        if (!from) return;
        if (!ghost) {
            if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) < FAR) return;
            button.setPointerCapture(event.pointerId);
            ghost = element("div", { textContent: word, popover: "manual", style: { ...GHOST, inset: "auto" } });
            button.getRootNode().append(ghost);
            ghost.showPopover();
        }
        Object.assign(ghost.style, { left: `${event.clientX + 8}px`, top: `${event.clientY + 8}px` });
    });
    button.addEventListener("pointerup", event => {
        const isDrag = Boolean(ghost);
        end();
        if (!isDrag) return;
        button.addEventListener("click", click => click.stopImmediatePropagation(), { once: true, capture: true });
        drop(node, word, app.canvas.convertEventToCanvasOffset(event));
    });
    for (const kind of ["pointercancel", "lostpointercapture"]) button.addEventListener(kind, end);
}

/** Links the node's mask to the mask input at a place of the graph, or to the first one of the node there. */
function drop(node, word, [x, y]) {
    const target = node.graph.getNodeOnPos(x, y), output = node.outputs.findIndex(each => each.type === MASK);
    const inputs = (target?.inputs ?? []).map((input, slot) => ({ input, slot })).filter(({ input }) => input.type === MASK);
    if (!inputs.length || target === node || output < 0) return;
    const away = slot => Math.abs(target.getConnectionPos(true, slot)[1] - y);
    const [{ slot }] = inputs.sort((one, other) => away(one.slot) - away(other.slot));
    app.canvas.emitBeforeChange();
    try {
        node.connect(output, target, slot);
        setValues([node, { word }]);
    } finally {
        app.canvas.emitAfterChange();
    }
}
