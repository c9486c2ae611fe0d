// One stream's track: segments to drag, split and choose with pointer or keys. It edits the stream's timeline text.

import { element } from "../lib/dom.mjs";
import { following } from "./prompts.mjs";
import { segments } from "./segments.mjs";
import { TEXTS } from "./texts.mjs";

const FINE = 0.1; // steps, for a key with Alt
const COARSE = 5; // steps, for a key with Shift
const FADE = 4; // steps of a fade from the menu

export class Track {
    #view;
    #stream;
    #state = null;
    #active = 0; // the focused segment
    #drag = null; // { index, kind, offset, text }

    /** `view`, for both tracks: { write(stream, text), go(stream, index), tip, menu, guide(place), explain(place) }. */
    constructor(view, stream) {
        this.#view = view;
        this.#stream = stream;
        this.root = element("div", {
            className: "track", role: "listbox", "aria-label": TEXTS.timeline(stream.name),
            "aria-description": TEXTS.keys(), "aria-orientation": "horizontal",
        });
        this.#listen();
    }

    get isBusy() {
        return this.#drag !== null;
    }

    /** `state` comes from view.mjs: { text, entries, wrong, unread, isFixed, connected, moves, clock ... }. */
    show(state) {
        this.#state = state;
        if (!this.isBusy) this.#paint();
    }

    /** Moves the focus to a segment. */
    focus(index) {
        const all = [...this.root.querySelectorAll(".segment, .message")];
        this.#active = Math.min(Math.max(index, 0), all.length - 1);
        all.forEach((each, at) => {
            each.tabIndex = at === this.#active ? 0 : -1;
            each.ariaSelected = String(at === this.#active);
        });
        all[this.#active]?.focus({ preventScroll: true });
    }

    #paint(entries = this.#state.entries) {
        const hadFocus = this.root.contains(this.root.getRootNode().activeElement);
        this.#active = Math.min(this.#active, Math.max(0, (entries?.length ?? 1) - 1));
        this.root.toggleAttribute("data-fixed", this.#state.isFixed);
        this.root.replaceChildren(...segments({ ...this.#state, entries }, this.#active, this.#drag));
        if (hadFocus) this.focus(this.#active);
    }

    #listen() {
        const on = (kind, then) => this.root.addEventListener(kind, then);
        on("pointerdown", event => this.#press(event));
        on("pointermove", event => this.#drag && this.#pull(event));
        on("pointerup", () => this.#release(true));
        on("pointercancel", () => this.#release(false));
        on("lostpointercapture", () => this.#release(false));
        on("pointerover", event => this.#hover(event));
        on("pointerleave", () => this.#drag || this.#view.tip.hide());
        on("focusin", event => {
            const index = indexOf(event.target.closest(".segment"));
            if (index >= 0 && index !== this.#active) this.focus(index);
        });
        on("keydown", event => this.#key(event));
        on("dblclick", event => {
            event.stopPropagation();
            const index = indexOf(event.target.closest(".segment"));
            if (index >= 0 && !this.#state.isFixed) this.#split(index, this.#place(event), event.altKey);
        });
        on("contextmenu", event => {
            const index = indexOf(event.target.closest(".segment"));
            if (index < 0 || this.#state.isFixed) return;
            event.preventDefault();
            event.stopPropagation();
            this.#offer(index, this.#place(event), event.clientX, event.clientY);
        });
    }

    /** The pointer's place on the track, in steps. */
    #place({ clientX }) {
        const { left, width } = this.root.getBoundingClientRect();
        return Math.min(1, Math.max(0, (clientX - left) / width)) * this.#state.clock.steps;
    }

    // ---- the pointer

    #press(event) {
        if (event.button === 1) return; // it moves the canvas
        event.stopPropagation();
        const index = indexOf(event.target.closest("[data-index]"));
        if (index < 0 || event.button !== 0) return;
        event.preventDefault();
        this.focus(index);
        this.#view.tip.hide();
        const { moves } = this.#state;
        const more = event.target.closest(".more"), held = event.target.closest(".grip, .ease");
        if (more) {
            const { left, bottom } = more.getBoundingClientRect();
            const open = () => this.#offer(index, moves.middle(index), left, bottom + 2);
            more.addEventListener("click", open, { once: true });
        } else if (held) {
            this.root.setPointerCapture(event.pointerId);
            const own = held.className === "ease" ? moves.fadeOf(index) : moves.startOf(index);
            this.#drag = { index, kind: held.className, offset: this.#place(event) - own, text: null };
        }
    }

    #pull(event) {
        const { moves, clock } = this.#state, drag = this.#drag, { index, kind } = drag;
        const at = this.#place(event) - drag.offset;
        const change = kind === "ease" ? moves.fade : moves.move;
        drag.text = change(index, at, event.altKey) ?? drag.text;
        const entries = this.#state.parse(drag.text ?? this.#state.text);
        this.#paint(entries);
        const place = clock.place(kind === "ease" ? entries[index].fade : entries[index].start);
        this.#view.guide(place);
        this.#view.tip.show(this.root.querySelector(`.${kind}[data-index="${index}"]`), this.#view.explain(place));
    }

    /** Ends a drag and writes the text, so that a drag is one step of undo. */
    #release(isMeant) {
        if (!this.#drag) return;
        const { text } = this.#drag;
        this.#drag = null;
        this.#view.guide(null);
        this.#view.tip.hide();
        if (isMeant) this.#write(text);
        this.#paint();
    }

    #hover(event) {
        if (this.#drag || this.#view.menu.isOpen()) return;
        const about = event.target.closest("[data-about]");
        if (about) this.#view.tip.show(about, about.dataset.about.split("\n"));
        else this.#view.tip.hide();
    }

    // ---- the keyboard

    #key(event) {
        if (event.ctrlKey || event.metaKey) return;
        if (this.#drag && event.key === "Escape") this.#release(false);
        else if (!this.#state.entries || !this.#walk(event.key) && !this.#edit(event)) return;
        event.preventDefault();
        event.stopPropagation();
    }

    #walk(key) {
        const to = { ArrowUp: this.#active - 1, ArrowDown: this.#active + 1 }[key];
        const end = { Home: 0, End: Infinity }[key];
        if (to !== undefined) this.#view.go(this.#stream, to);
        else if (end !== undefined) this.focus(end);
        return to !== undefined || end !== undefined;
    }

    /** Handles a key; returns whether it was an edit. */
    #edit({ key, shiftKey, altKey }) {
        const { isFixed, connected, moves } = this.#state, index = this.#active;
        const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
        if (isFixed) return false;
        if (by) this.#step(Math.max(index, 1), by * (altKey ? FINE : shiftKey ? COARSE : 1), altKey);
        else if (key === "Enter") this.#split(index, moves.middle(index));
        else if (key === "Delete" || key === "Backspace") this.#write(moves.remove(index));
        else if (key.toLowerCase() === "f") this.#fade(index, shiftKey ? -1 : 1);
        else if (connected && /^[1-9]$/.test(key)) this.#write(moves.name(index, key));
        else return false;
        return true;
    }

    // ---- edits

    #write(text) {
        if (text !== null && text !== this.#state.text) this.#view.write(this.#stream, text);
    }

    #step(index, by, isFree) {
        const { entries, moves } = this.#state;
        if (index < entries.length) this.#write(moves.move(index, moves.startOf(index) + by, isFree));
    }

    #fade(index, by) {
        const { moves } = this.#state;
        if (index) this.#write(moves.fade(index, Math.max(moves.startOf(index), moves.fadeOf(index)) + by));
    }

    #split(index, place, isFree = false) {
        const { moves } = this.#state, words = following(this.#state, index);
        if (words !== null) return this.#write(moves.cut(index, place, words, isFree));
        this.#view.tip.show(this.root.querySelector(`.segment[data-index="${index}"]`), [TEXTS.void()]);
    }

    #offer(index, place, x, y) {
        this.focus(index);
        this.#view.tip.hide();
        const { entries, connected, moves } = this.#state;
        const now = entries[index].text.trim();
        const plays = Object.entries(connected ?? {}).map(([number, words]) => ({
            text: words ? `${number}  ${words}` : TEXTS.plays(number), isOn: number === now,
            run: () => this.#write(moves.name(index, number)),
        }));
        const fade = moves.isFaded(index) ? { text: TEXTS.cut(), run: () => this.#write(moves.fade(index, 0)) }
            : { text: TEXTS.fadeIn(), run: () => this.#fade(index, FADE), isOff: !index };
        const isWhole = following(this.#state, index) === null || moves.cut(index, place, now) === null;
        this.#view.menu.open(x, y, [
            ...plays, ...(plays.length ? [null] : []),
            { text: TEXTS.split(), run: () => this.#split(index, place), isOff: isWhole },
            fade,
            { text: TEXTS.remove(), run: () => this.#write(moves.remove(index)), isOff: entries.length < 2 },
        ]);
    }
}

const indexOf = element => element ? Number(element.dataset.index) : -1;
