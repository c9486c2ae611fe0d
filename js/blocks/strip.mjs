// One list of blocks as a strip of cells to paint, with the pointer or keys.

import { element } from "../lib/dom.mjs";
import { TEXTS } from "./texts.mjs";

const FINAL = "final";

export class Strip {
    #view;
    #list;
    #state = null;
    #cells = []; // { id, cell }; the id is a block's number or FINAL
    #laid = -1; // number of double blocks that are laid out
    #active = 0;
    #stroke = null; // { on, from, draft } while it is painted

    /** `view` is { write(list, state), tip }, `list` { widget, stream, final, hue, name }. */
    constructor(view, list) {
        this.#view = view;
        this.#list = list;
        this.root = element("div", {
            className: "strip", role: "listbox", "aria-label": TEXTS.strip(list.name), "aria-multiselectable": "true",
            "aria-orientation": "horizontal", "aria-description": TEXTS.keys(),
        });
        this.#listen();
    }

    /** `state` is { blocks, final, wrong, unread, isFixed, depth }. */
    show(state) {
        this.#state = state;
        if (!this.#stroke) this.#paint(state);
    }

    #paint(shown) {
        const text = shown.wrong || shown.unread;
        if (text) {
            this.#cells = [];
            const message = element("div", { className: "message", textContent: text, title: text });
            message.toggleAttribute("data-wrong", Boolean(shown.wrong));
            return this.root.replaceChildren(message);
        }
        this.#lay(shown.depth);
        this.root.toggleAttribute("data-fixed", shown.isFixed);
        for (const { id, cell } of this.#cells) cell.ariaSelected = String(isOn(shown, id));
    }

    /** Creates a cell for each of the model's blocks. */
    #lay({ double, single }) {
        const ids = [...Array(double + single).keys(), ...(this.#list.final ? [FINAL] : [])];
        if (this.#cells.length === ids.length && this.#laid === double) return;
        this.#laid = double;
        this.#active = Math.min(this.#active, ids.length - 1);
        this.#cells = ids.map((id, at) => {
            const kind = id === FINAL ? FINAL : id < double ? "double" : "single";
            const ariaLabel = TEXTS.block[kind](id);
            const cell = element("div", { className: "cell", role: "option", ariaLabel, dataset: { at, kind } });
            cell.tabIndex = at === this.#active ? 0 : -1;
            if (id === double || id === FINAL) cell.dataset.first = "";
            return { id, cell };
        });
        this.root.replaceChildren(...this.#cells.map(({ cell }) => cell));
    }

    #listen() {
        const on = (kind, then) => this.root.addEventListener(kind, then);
        on("pointerdown", event => this.#press(event));
        on("pointermove", event => this.#stroke ? this.#drag(event) : this.#hover(event));
        on("pointerleave", () => this.#stroke || this.#view.tip.hide());
        on("pointerup", () => this.#release(true));
        on("pointercancel", () => this.#release(false));
        on("lostpointercapture", () => this.#release(false));
        on("focusin", event => this.#focus(Number(event.target.dataset.at)));
        on("focusout", () => this.#view.tip.hide());
        on("keydown", event => this.#key(event));
        on("dblclick", event => event.stopPropagation());
    }

    // ---- the pointer

    /** The index of the cell nearest to the pointer. */
    #at({ clientX }) {
        const found = this.#cells.findIndex(({ cell }) => clientX < cell.getBoundingClientRect().right);
        return found < 0 ? this.#cells.length - 1 : found;
    }

    #press(event) {
        if (event.button !== 0 || !this.#cells.length || this.#state.isFixed) return;
        event.preventDefault();
        event.stopPropagation();
        this.root.setPointerCapture(event.pointerId);
        const at = this.#at(event);
        this.#focus(at, true);
        const draft = { ...this.#state, blocks: new Set(this.#state.blocks) };
        this.#stroke = { on: !isOn(draft, this.#cells[at].id), from: at, draft };
        this.#drag(event);
    }

    #drag(event) {
        const { on, from, draft } = this.#stroke, to = this.#at(event);
        for (let at = Math.min(from, to); at <= Math.max(from, to); at++) set(draft, this.#cells[at].id, on);
        this.#stroke.from = to;
        this.#paint(draft);
        this.#tell(to, draft);
    }

    /** Writes the list at the end of a stroke, so that a stroke is one step of undo. */
    #release(isMeant) {
        if (!this.#stroke) return;
        const { draft } = this.#stroke;
        this.#stroke = null;
        this.#view.tip.hide();
        if (isMeant) this.#view.write(this.#list, draft);
        this.#paint(this.#state);
    }

    #hover(event) {
        if (this.#cells.length) this.#tell(this.#at(event), this.#state);
        else this.#view.tip.hide();
    }

    #tell(at, { blocks, depth }) {
        const { cell } = this.#cells[at];
        const count = TEXTS.count(blocks.size, depth.double + depth.single);
        this.#view.tip.show(cell, [cell.ariaLabel, count, ...this.#state.isFixed ? [] : [TEXTS.hint()]]);
    }

    // ---- the keyboard

    #focus(at, isAsked = false) {
        if (!(at >= 0) || (at === this.#active && !isAsked)) return;
        this.#cells[this.#active].cell.tabIndex = -1;
        this.#active = at;
        this.#cells[at].cell.tabIndex = 0;
        if (isAsked) this.#cells[at].cell.focus({ preventScroll: true });
    }

    #key(event) {
        const { key, shiftKey, ctrlKey, metaKey, altKey } = event, last = this.#cells.length - 1;
        if (ctrlKey || metaKey || altKey || last < 0) return;
        const to = { ArrowLeft: this.#active - 1, ArrowRight: this.#active + 1, Home: 0, End: last }[key];
        if (key === "Escape" && this.#stroke) this.#release(false);
        else if (key === " ") this.#toggle();
        else if (to === undefined) return;
        else this.#walk(Math.min(Math.max(to, 0), last), shiftKey);
        event.preventDefault();
        event.stopPropagation();
    }

    #walk(to, isAlong) {
        const from = this.#active;
        this.#focus(to, true);
        this.#tell(to, this.#state);
        if (isAlong) this.#change(from, to, isOn(this.#state, this.#cells[from].id));
    }

    #toggle() {
        this.#change(this.#active, this.#active, !isOn(this.#state, this.#cells[this.#active].id));
    }

    #change(from, to, on) {
        if (this.#state.isFixed) return;
        const draft = { ...this.#state, blocks: new Set(this.#state.blocks) };
        for (let at = Math.min(from, to); at <= Math.max(from, to); at++) set(draft, this.#cells[at].id, on);
        this.#view.write(this.#list, draft);
    }
}

const isOn = (state, id) => id === FINAL ? state.final : state.blocks.has(id);

function set(state, id, on) {
    if (id === FINAL) state.final = on;
    else if (on) state.blocks.add(id);
    else state.blocks.delete(id);
}
