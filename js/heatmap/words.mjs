// The words beside the picture: hover or focus shows a word's map, click chooses the one whose mask goes on.

import { element } from "../lib/dom.mjs";
import { ROADS } from "../lib/palette.mjs";

const TEXTS = {
    list: "Words", mask: "mask",
    hint: "Hover a word to see its map. Click it to send its mask on, with the next run.",
};

export const WORDS_CSS = `
    .words { display: flex; flex-direction: column; min-height: 0; }
    .words .list { flex: 1; min-height: 0; overflow: auto; display: flex; flex-direction: column; gap: 2px; }
    .words .head { font-size: 11px; padding: 0 4px 3px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    .word { display: grid; grid-template-columns: minmax(0, 1fr) auto; text-align: left; column-gap: 6px;
        padding: 2px 6px 4px; border-color: transparent; flex: none; }
    .word span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .word small { font-size: 11px; font-variant-numeric: tabular-nums; }
    .word i { grid-column: 1 / 3; height: 3px; border-radius: 2px; background: ${ROADS.t5.hue}; min-width: 1px; }
    .word[aria-checked="true"] { border-color: ${ROADS.t5.hue}; }
    .word[aria-checked="true"] span::after { content: " \\00b7  ${TEXTS.mask}"; color: ${ROADS.t5.hue}; }
    .word.looked { background: var(--content-hover-bg, #353535); }
`;

/**
 * Returns { root, show, rank, choose, looked }: `show(entries, head)` takes { word, at, value }; `rank(values, head)`
 * puts them into the order of other values, or with null as they were; `choose(word)` marks the chosen one; `looked()`
 * is the number of the word whose map is to be seen. `looked` and `chosen(word)` are told.
 */
export function wordList({ looked, chosen }) {
    const head = element("div", { className: "head quiet" });
    const list = element("div", { className: "list scrolls", role: "radiogroup", "aria-label": TEXTS.list });
    const root = element("div", { className: "words", title: TEXTS.hint }, head, list);
    let entries = [], buttons = [], said = "", mask = 0, over = null;

    function show(given, text) {
        entries = given;
        said = text;
        if (entries.map(each => each.word).join("\n") !== buttons.map(each => each.title).join("\n")) build();
        rank(null);
    }
    function build() {
        over = null;
        buttons = entries.map(({ word }, at) => {
            const button = element("button", { className: "word", role: "radio", title: word },
                element("span", { textContent: word }), element("small"), element("i"));
            for (const [event, to] of [["pointerenter", at], ["pointerleave", null], ["focus", at], ["blur", null]]) {
                button.addEventListener(event, () => look(to));
            }
            button.addEventListener("click", () => chosen(word));
            button.addEventListener("keydown", event => step(event, button));
            return button;
        });
        list.replaceChildren(...buttons);
        mark();
    }
    function look(at) {
        over = at;
        mark();
        looked();
    }
    function mark() {
        buttons.forEach((button, at) => {
            button.setAttribute("aria-checked", at === mask);
            button.tabIndex = at === mask ? 0 : -1;
            button.classList.toggle("looked", at === (over ?? mask));
        });
    }
    function step(event, button) {
        const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const order = [...list.children];
        order[(order.indexOf(button) + by + order.length) % order.length].focus();
    }
    function rank(values, text = said) {
        head.textContent = text;
        const shown = values ?? entries.map(each => each.value);
        const most = Math.max(...shown, 1e-12);
        buttons.forEach((button, at) => {
            const [, number, bar] = button.children;
            number.textContent = told(shown[at]);
            bar.style.width = `${100 * shown[at] / most}%`;
            button.style.order = values ? shown.filter(value => value > shown[at]).length : at;
        });
    }
    return {
        root, show, rank,
        looked: () => over ?? mask,
        choose(word) {
            const asked = String(word ?? "").trim().toLowerCase();
            mask = Math.max(0, entries.findIndex(each => each.word.toLowerCase() === asked));
            mark();
            looked();
        },
    };
}

function told(share) {
    if (Math.abs(share) >= 1) return share.toPrecision(3);
    return `${(100 * share).toPrecision(2)} %`;
}
