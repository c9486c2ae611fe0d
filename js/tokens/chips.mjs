// The tokens as chips, in rows of which only those in view are in the page: a prompt may have thousands.

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
    .row { position: absolute; left: 0; right: 0; height: ${ROW}px; display: flex; align-items: center; overflow: hidden;
        white-space: pre; font: ${FONT}; }
    .chip { flex: none; max-width: 100%; overflow: hidden; text-overflow: ellipsis; height: 15px; line-height: 15px;
        padding: 0 4px; margin-left: 4px; border-radius: 4px; cursor: default;
        background: color-mix(in srgb, var(--road) calc(var(--strength, 34) * 1%), transparent); }
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
    .chip[data-kind=weight] { font-size: 9px; font-weight: 600; color: var(--light); }
    .chip[data-cut] { background: none; box-shadow: inset 0 0 0 1px var(--border-color, #4e4e4e);
        color: var(--descrip-text, #999); text-decoration: line-through; }
    .chip[data-unknown] { box-shadow: inset 0 -2px 0 var(--error-text, #ff5a5a); }
`;

/**
 * Makes the list. `explain(item)` gives a tooltip's lines, `strength(item)` how strong its tint is, in percent, and
 * `isUnknown(item)` whether the road has no token for it.
 *
 * Returns { list, show(items), stop }.
 */
export function chips(tip, { explain, strength, isUnknown }) {
    const list = element("div", { className: "chips", tabIndex: 0, role: "listbox", "aria-label": TEXTS.tokens });
    const space = element("div");
    list.append(space);
    let items = [], rows = [0], painted = "", active = -1;

    function arrange() {
        const room = list.clientWidth;
        if (!room) return;
        rows = rowsOf(items, room, widthOf);
        space.style.height = `${rows.length * ROW}px`;
        painted = "";
        paint();
    }

    function paint() {
        const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 1);
        const last = Math.min(rows.length, first + Math.ceil(list.clientHeight / ROW) + 3);
        if (painted === `${first} ${last}`) return;
        painted = `${first} ${last}`;
        const shown = Array.from({ length: last - first }, (_, index) => row(first + index));
        space.replaceChildren(...shown);
    }

    function row(index) {
        const made = element("div", { className: "row", role: "presentation", style: { top: `${index * ROW}px` } });
        const end = rows[index + 1] ?? items.length;
        for (let at = rows[index]; at < end; at++) made.append(chip(at));
        return made;
    }

    function chip(at) {
        const item = items[at];
        const made = element("span", { className: "chip", id: `chip${at}`, role: "option", textContent: item.text });
        made.dataset.kind = item.kind;
        if (item.glued) made.dataset.glued = "";
        if (items[at + 1]?.glued) made.dataset.open = "";
        if (item.cut) made.dataset.cut = "";
        if (isUnknown(item)) made.dataset.unknown = "";
        if (at === active) made.dataset.active = "";
        if (item.at >= 0) made.style.setProperty("--strength", strength(item));
        made.ariaSelected = String(at === active);
        return made;
    }

    const itemAt = target => items[Number(target.closest?.(".chip")?.id.slice(4))];
    list.addEventListener("pointerover", event => {
        const item = itemAt(event.target);
        if (item) tip.show(event.target.closest(".chip"), explain(item));
        else tip.hide();
    });
    list.addEventListener("pointerleave", tip.hide);
    list.addEventListener("scroll", () => {
        paint();
        if (active < 0) tip.hide();
        else tellActive();
    });

    function activate(at) {
        active = Math.min(Math.max(at, 0), items.length - 1);
        const row = rows.findLastIndex(first => first <= active);
        const top = row * ROW;
        if (top < list.scrollTop) list.scrollTop = top;
        if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
        painted = "";
        paint();
        list.setAttribute("aria-activedescendant", `chip${active}`);
        tellActive();
    }

    function tellActive() {
        const made = space.querySelector(`#chip${active}`);
        if (made) tip.show(made, explain(items[active]));
        else tip.hide();
    }

    list.addEventListener("keydown", event => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const last = items.length - 1;
        const to = { ArrowRight: active + 1, ArrowLeft: active - 1, Home: 0, End: last }[event.key];
        if (to === undefined || !items.length) return;
        event.preventDefault();
        event.stopPropagation();
        activate(to);
    });
    list.addEventListener("focus", () => {
        if (list.matches(":focus-visible") && items.length) activate(Math.max(active, 0));
    });
    list.addEventListener("blur", () => {
        tip.hide();
        active = -1;
        painted = "";
        paint();
    });

    const sized = new ResizeObserver(arrange);
    return {
        list,
        show(given) {
            items = given;
            active = Math.min(active, items.length - 1);
            arrange();
        },
        start: () => sized.observe(list),
        stop() {
            sized.disconnect();
            tip.hide();
        },
    };
}

// ---- widths, measured once for each text

const widths = new Map();
const MOST = 20_000; // remembered; then it starts anew
let measured = null;

function widthOf(item) {
    const known = widths.get(item.text);
    if (known !== undefined) return known;
    measured ??= new OffscreenCanvas(1, 1).getContext("2d");
    measured.font = FONT;
    if (widths.size > MOST) widths.clear();
    const width = Math.ceil(measured.measureText(item.text).width) + PADDING + (item.kind === "end" ? 1 : 0);
    widths.set(item.text, width);
    return width;
}
