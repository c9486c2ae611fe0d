// The list of words: hover or focus shows a word's map, a click chooses the word whose mask the node outputs.

import { percent } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { STREAMS } from "../lib/palette.mjs";
import { t } from "../lib/words.mjs";

const TEXTS = {
    list: () => t("Words"),
    mask: () => t("mask"),
    hint: () => t("Hover over a word to see its map. Click it to output its mask in the next run, or drag it onto a node "
        + "with a mask input."),
};

export const WORDS_CSS = `
    .words { display: flex; flex-direction: column; min-height: 0; }
    .words .list { flex: 1; min-height: 0; overflow: auto; display: flex; flex-direction: column; gap: 2px; }
    .words .head { font-size: 11px; padding: 0 4px 3px; white-space: nowrap; overflow: hidden;
        text-overflow: ellipsis; }
    .word { display: grid; grid-template-columns: minmax(0, 1fr) auto; text-align: left; column-gap: 6px;
        padding: 2px 6px 4px; border-color: transparent; flex: none; }
    .word span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .word small { font-size: 11px; font-variant-numeric: tabular-nums; }
    .word i { grid-column: 1 / 3; height: 3px; border-radius: 2px; background: ${STREAMS.t5.hue}; min-width: 1px; }
    .word[aria-checked="true"] { border-color: ${STREAMS.t5.hue}; }
    .word[aria-checked="true"] span::after { content: " \\00b7  " attr(data-mask); color: ${STREAMS.t5.hue}; }
    .word.looked { background: var(--content-hover-bg, #353535); }
`;

/**
 * `changed()` is called when another word's map is to be shown, `chosen(word)` when a word is clicked, and
 * `made(button, word)` for each word's button.
 */
export class WordList {
    #entries = [];
    #buttons = [];
    #head = element("div", { className: "head quiet" });
    #list = element("div", { className: "list scrolls", role: "radiogroup", "aria-label": TEXTS.list() });
    #title = "";
    #mask = 0;
    #over = null;

    constructor(changed, chosen, made) {
        this.changed = changed;
        this.chosen = chosen;
        this.made = made;
        this.root = element("div", { className: "words", title: TEXTS.hint() }, this.#head, this.#list);
    }

    /** The number of the word whose map is to be shown. */
    get looked() {
        return this.#over ?? this.#mask;
    }

    /** Sets [{ word, value }], and the heading of the values. */
    show(entries, title) {
        const isOther = entries.map(each => each.word).join("\n") !== this.#entries.map(each => each.word).join("\n");
        this.#entries = entries;
        this.#title = title;
        if (isOther) this.#build();
        this.rank(null);
    }

    /** Sorts the words by other values; null restores the order. */
    rank(values, title = this.#title) {
        this.#head.textContent = title;
        const shown = values ?? this.#entries.map(each => each.value);
        const most = Math.max(...shown, 1e-12);
        this.#buttons.forEach((button, at) => {
            const [, number, bar] = button.children;
            number.textContent = rounded(shown[at]);
            bar.style.width = `${100 * shown[at] / most}%`;
            button.style.order = values ? shown.filter(value => value > shown[at]).length : at;
        });
    }

    /** Marks the word whose mask the node outputs; the first if there is no such word. */
    choose(word) {
        const wanted = String(word ?? "").trim().toLowerCase();
        this.#mask = Math.max(0, this.#entries.findIndex(each => each.word.toLowerCase() === wanted));
        this.#mark();
        this.changed();
    }

    #build() {
        this.#over = null;
        this.#buttons = this.#entries.map(({ word }, at) => this.#button(word, at));
        this.#list.replaceChildren(...this.#buttons);
    }

    #button(word, at) {
        const button = element("button", { className: "word", role: "radio", title: word },
            element("span", { textContent: word, dataset: { mask: TEXTS.mask() } }), element("small"), element("i"));
        for (const [event, to] of [["pointerenter", at], ["pointerleave", null], ["focus", at], ["blur", null]]) {
            button.addEventListener(event, () => this.#look(to));
        }
        this.made(button, word);
        button.addEventListener("click", () => this.chosen(word));
        button.addEventListener("keydown", event => this.#step(event, at));
        return button;
    }

    #look(at) {
        this.#over = at;
        this.#mark();
        this.changed();
    }

    #mark() {
        this.#buttons.forEach((button, at) => {
            button.setAttribute("aria-checked", at === this.#mask);
            button.tabIndex = at === this.#mask ? 0 : -1;
            button.classList.toggle("looked", at === this.looked);
        });
    }

    #step(event, at) {
        const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key], count = this.#buttons.length;
        if (!by) return;
        event.preventDefault();
        this.#buttons[(at + by + count) % count].focus();
    }
}

/** A share in percent, rounded as everywhere; a larger number as it is. */
const rounded = value => Math.abs(value) >= 1 ? value.toPrecision(3) : percent(value);
