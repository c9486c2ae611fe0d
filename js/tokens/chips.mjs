// Tokens as chips in rows. Only visible rows are in the DOM, because a prompt may have thousands of tokens.

import { element } from "../lib/dom.mjs";
import { rowsOf } from "./flow.mjs";
import { TEXTS } from "./texts.mjs";

export const ROW = 18; // a row's height
const FONT = "11px Inter, system-ui, sans-serif";
const PADDING = 9; // a chip's, and its border; see the style

export const CHIPS_CSS = `
    .chips { overflow: hidden auto; scrollbar-width: thin; border-radius: 4px; outline-offset: 2px;
        transition: opacity .12s; }
    .chips[data-old] { opacity: .45; }
    .row { position: absolute; left: 0; right: 0; height: ${ROW}px; display: flex; align-items: center;
        overflow: hidden; white-space: pre; font: ${FONT}; }
    .chip { flex: none; max-width: 100%; overflow: hidden; text-overflow: ellipsis; height: 15px; line-height: 15px;
        padding: 0 4px; margin-left: 4px; border-radius: 4px; cursor: default;
        background: color-mix(in srgb, var(--stream) calc(var(--strength, 34) * 1%), transparent); }
    .chip:first-child { margin-left: 0; }
    .chip[data-glued] { margin-left: 1px; border-top-left-radius: 0; border-bottom-left-radius: 0; }
    .chip[data-open] { border-top-right-radius: 0; border-bottom-right-radius: 0; }
    .chip:hover, .chip[data-active] { box-shadow: inset 0 0 0 1px var(--light); }
    .chip[data-kind=space], .chip[data-kind=part] { color: var(--descrip-text, #999); --strength: 16 !important; }
    .chip[data-kind=start], .chip[data-kind=end], .chip[data-kind=pads] { background: none;
        color: var(--descrip-text, #999); font-style: italic; }
    .chip[data-kind=chunk], .chip[data-kind=cut] { background: none; color: var(--descrip-text, #999);
        border-left: 2px solid var(--light); border-radius: 0; }
    .chip[data-kind=cut] { border-color: var(--error-text, #ff5a5a); color: var(--error-text, #ff5a5a); }
    .chip[data-kind=choice] { background: none; color: var(--descrip-text, #999); font-style: italic; padding-right: 0;
        box-shadow: none; }
    .body > .more { inset: auto 0 1px auto; height: 16px; padding: 0 6px; border: 0; border-radius: 8px; cursor: pointer;
        font-size: 10px; line-height: 16px; font-weight: 600; color: var(--input-text, #ddd);
        background: color-mix(in srgb, var(--stream) 55%, var(--comfy-input-bg, #222)); }
    .chip[data-kind=weight] { font-size: 9px; font-weight: 600; color: var(--light); }
    .chip[data-cut] { background: none; box-shadow: inset 0 0 0 1px var(--border-color, #4e4e4e);
        color: var(--descrip-text, #999); text-decoration: line-through; }
    .chip[data-unknown] { box-shadow: inset 0 -2px 0 var(--error-text, #ff5a5a); }
`;

/**
 * Creates the list. `explain(item)` returns a tooltip's lines, `strength(item)` the strength of the tint in percent,
 * and `isUnknown(item)` whether the encoder has no token for it.
 *
 * Returns { list, more, show(items), start, stop }: `more` is a button that counts the tokens below the visible rows, and
 * shows the next ones.
 */
export function chips(tip, { explain, strength, isUnknown }) {
    const list = element("div", { className: "chips", tabIndex: 0, role: "listbox", "aria-label": TEXTS.tokens() });
    const space = element("div");
    const more = element("button", { className: "more", type: "button", tabIndex: -1, title: TEXTS.showMore() });
    list.append(space);
    // `active` is the index of the focused item, -1 for none; `painted` are the rows in the DOM.
    const view = { list, space, more, tip, explain, strength, isUnknown, items: [], rows: [0], painted: "", active: -1 };
    listen(view);
    const sized = new ResizeObserver(() => arrange(view));
    return {
        list,
        more,
        show(items) {
            view.items = items;
            view.active = Math.min(view.active, items.length - 1);
            arrange(view);
        },
        start: () => sized.observe(list),
        stop() {
            sized.disconnect();
            tip.hide();
        },
    };
}

function arrange(view) {
    const room = view.list.clientWidth;
    if (!room) return; // not in the DOM yet, or folded
    view.rows = rowsOf(view.items, room, widthOf);
    view.space.style.height = `${view.rows.length * ROW}px`;
    paint(view, true);
    countMore(view);
}

/** Counts the tokens in the rows below the visible ones. */
function countMore({ list, more, rows, items }) {
    const below = rows[Math.round((list.scrollTop + list.clientHeight) / ROW)];
    const count = below === undefined ? 0 : items.slice(below).filter(({ at, kind }) => at >= 0 && kind !== "weight").length;
    more.hidden = list.hidden || !count;
    more.textContent = `${TEXTS.more(count)} \u25be`;
}

/** Adds the visible rows to the DOM. */
function paint(view, anew = false) {
    const { list, rows } = view;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 1);
    const last = Math.min(rows.length, first + Math.ceil(list.clientHeight / ROW) + 3);
    if (!anew && view.painted === `${first} ${last}`) return;
    view.painted = `${first} ${last}`;
    view.space.replaceChildren(...Array.from({ length: last - first }, (_, index) => rowOf(view, first + index)));
}

function rowOf(view, index) {
    const made = element("div", { className: "row", role: "presentation", style: { top: `${index * ROW}px` } });
    const end = view.rows[index + 1] ?? view.items.length;
    for (let at = view.rows[index]; at < end; at++) made.append(chipOf(view, at));
    return made;
}

function chipOf({ items, active, strength, isUnknown }, at) {
    const item = items[at];
    const made = element("span", { className: "chip", id: `chip${at}`, role: "option", textContent: item.text });
    made.dataset.kind = item.kind;
    made.toggleAttribute("data-glued", item.glued);
    made.toggleAttribute("data-open", Boolean(items[at + 1]?.glued));
    made.toggleAttribute("data-cut", item.cut);
    made.toggleAttribute("data-unknown", isUnknown(item));
    made.toggleAttribute("data-active", at === active);
    made.ariaSelected = String(at === active);
    if (item.at >= 0) made.style.setProperty("--strength", strength(item));
    return made;
}

// ---- pointer and keyboard

function listen(view) {
    const { list, tip } = view;
    list.addEventListener("pointerover", event => {
        const chip = event.target.closest(".chip");
        if (chip) tip.show(chip, view.explain(view.items[Number(chip.id.slice(4))]));
        else tip.hide();
    });
    list.addEventListener("pointerleave", tip.hide);
    view.more.addEventListener("click", () => { list.scrollTop += list.clientHeight; });
    list.addEventListener("scroll", () => {
        paint(view);
        countMore(view);
        tellActive(view);
    });
    list.addEventListener("keydown", event => step(view, event));
    list.addEventListener("focus", () => {
        if (list.matches(":focus-visible") && view.items.length) activate(view, 0);
    });
    list.addEventListener("blur", () => {
        view.active = -1;
        paint(view, true);
        tip.hide();
    });
}

function step(view, event) {
    const { active, items } = view;
    const to = { ArrowRight: active + 1, ArrowLeft: active - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined || !items.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    activate(view, to);
}

function activate(view, at) {
    const { list, rows, items } = view;
    view.active = Math.min(Math.max(at, 0), items.length - 1);
    const top = rows.findLastIndex(first => first <= view.active) * ROW;
    list.scrollTop = Math.min(top, Math.max(list.scrollTop, top + ROW - list.clientHeight));
    list.setAttribute("aria-activedescendant", `chip${view.active}`);
    paint(view, true);
    tellActive(view);
}

function tellActive({ space, tip, explain, items, active }) {
    const chip = space.querySelector(`#chip${active}`);
    if (chip) tip.show(chip, explain(items[active]));
    else tip.hide();
}

// ---- text widths, cached

const widths = new Map();
const MOST = 20_000; // cached widths; then the cache is emptied
let measured = null;

function widthOf(item) {
    const known = widths.get(item.text);
    if (known !== undefined) return known;
    measured ??= new OffscreenCanvas(1, 1).getContext("2d");
    measured.font = FONT;
    if (widths.size > MOST) widths.clear();
    const width = Math.ceil(measured.measureText(item.text).width) + PADDING;
    widths.set(item.text, width);
    return width;
}
