// A message at a node's foot, whole and broken at words. The node becomes taller by it, and as tall as before when the
// message goes, so that no other part of the node moves. It is neither saved nor part of the saved size.

import { element, styles } from "./dom.mjs";
import { chain } from "./life.mjs";
import { panel } from "./panel.mjs";

const CSS = styles(`
    .panel { height: auto; }
    .notice { padding: 6px 8px; border-radius: 6px; font-size: 11px; line-height: 1.4; white-space: pre-wrap;
        overflow-wrap: break-word; user-select: text; cursor: text; background: var(--comfy-input-bg, #222);
        border-left: 3px solid #e6b422; }
    .notice[data-kind=error] { border-color: var(--error-text, #ff5a5a); }
    .notice[data-kind=report] { border-color: var(--border-color, #4e4e4e); }
`);
const NATIVE = "$$node-text-preview"; // the front end's own preview of the same text
const APART = 4; // pixels between two widgets
const made = new WeakMap();

/** The node's notice, created on first use. */
export function noticeOf(node) {
    if (!made.has(node)) made.set(node, new Notice(node));
    return made.get(node);
}

/** Removes the front end's own preview of a text from a node. */
export function removeNative(node) {
    for (const widget of node.widgets?.filter(({ name }) => name === NATIVE) ?? []) node.removeWidget(widget);
}

class Notice {
    #shown = null; // { widget, resize, text, height, before, added }: the text's height, and the node's without it
    #sized = new ResizeObserver(() => this.#measure(this.#shown?.text.offsetHeight));

    constructor(node) {
        this.node = node;
        const pixels = () => this.#shown?.added ?? 0;
        chain(node, "onSerialize", data => { data.size = [data.size[0], data.size[1] - pixels()]; });
        chain(node, "onRemoved", () => this.#sized.disconnect());
    }

    get text() {
        return this.#shown?.text.textContent ?? "";
    }

    get kind() {
        return this.#shown?.text.dataset.kind ?? null;
    }

    /** Shows a text of a kind: "warning", "error" or "report". No text removes the notice. */
    show(text, kind = "warning") {
        if (!text) return this.clear();
        if (!this.#shown) this.#add();
        const { text: box } = this.#shown;
        Object.assign(box, { textContent: text, role: kind === "error" ? "alert" : "status" });
        box.dataset.kind = kind;
        if (box.offsetHeight) this.#measure(box.offsetHeight);
    }

    clear() {
        if (!this.#shown) return;
        const { widget, added } = this.#shown;
        this.#sized.disconnect();
        this.#shown = null;
        this.node.removeWidget(widget);
        this.#setHeight(this.node.size[1] - added);
    }

    #add() {
        const before = this.node.size[1];
        const { root, widget, resize } = panel(this.node, "notice", { css: CSS, height: 0 });
        const text = element("div", { className: "notice" });
        root.prepend(text);
        text.addEventListener("pointerdown", event => event.stopPropagation()); // it can be selected
        this.#shown = { widget, resize, text, height: 0, before, added: 0 };
        this.#sized.observe(text);
    }

    #measure(height) {
        const shown = this.#shown;
        if (!shown || !height || height === shown.height) return;
        // Vue nodes grow by a part of a new widget on their own, before this; what the user has resized since stays.
        const before = shown.added ? this.node.size[1] - shown.added : shown.before;
        const frame = window.LiteGraph.vueNodesMode ? 0 : shown.widget.options.getMinHeight() - shown.height;
        Object.assign(shown, { height, added: height + frame + APART });
        shown.resize(height);
        this.#setHeight(before + shown.added);
    }

    #setHeight(height) {
        this.node.setSize([this.node.size[0], height]);
        this.node.setDirtyCanvas?.(true, true);
    }
}
