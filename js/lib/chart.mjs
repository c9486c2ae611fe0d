// A line chart over the steps of a run, with a hairline that shows all values at a step, as plots/charts.py draws it.

import { element } from "./dom.mjs";

const SPACE = "http://www.w3.org/2000/svg";
const LEFT = 40, RIGHT = 10, TOP = 8, BOTTOM = 32; // around the lines, in pixels
const NEAR = 44; // pixels that a tick's text needs

export const CHART_CSS = `
    .chart { position: relative; flex: 1; min-height: 0; border-radius: 4px; }
    .chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
    .chart text { font-size: 10px; fill: var(--descrip-text, #999); }
    .chart .rule { stroke: var(--border-color, #444); stroke-width: 1; }
    .chart .line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
    .chart .mark { stroke-width: 1.5; stroke-dasharray: 4 4; }
    .chart .hair { stroke: var(--input-text, #ddd); stroke-width: 1; opacity: .7; }
    .values { position: absolute; top: 4px; left: 0; width: max-content; padding: 4px 8px; border-radius: 6px;
        pointer-events: none; z-index: 1;
        background: var(--comfy-menu-bg, #222); border: 1px solid var(--border-color, #444); white-space: nowrap;
        font-size: 11px; display: grid; grid-template-columns: auto auto auto; gap: 0 6px; align-items: center; }
    .values[hidden] { display: none; }
    .values b { grid-column: 1 / 4; font-weight: 600; }
    .values span:nth-of-type(2n) { text-align: right; font-variant-numeric: tabular-nums; }
    .values svg { position: static; width: 18px; height: 8px; }
`;

/** A stream's hue, adjusted to be visible on dark and light backgrounds. */
export const lineColour = hue => `color-mix(in oklab, ${hue} 72%, var(--input-text, #ddd))`;

/** A share as text: 43 %, 4.3 %, 0.43 %, 0 %. */
export function percent(share) {
    const size = Math.abs(share);
    return `${(100 * share).toFixed(size >= 0.0995 || size < 0.00005 ? 0 : size >= 0.00995 ? 1 : 2)} %`;
}

/** A chart with the accessible name `label`. `pointed(index)` gets the index of x under the pointer, or null. */
export class Chart {
    #data = null;
    #at = null;
    #places = null;
    #pointed;
    #svg;
    #values = element("div", { className: "values", hidden: true, "aria-hidden": "true" });
    #seen = new ResizeObserver(() => this.#paint());

    /** @param {string} label @param {(index: number | null) => void} pointed */
    constructor(label, pointed = () => {}) {
        this.#pointed = pointed;
        this.#svg = drawn("svg", { tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": 0 });
        this.root = element("div", { className: "chart" }, this.#svg, this.#values);
        this.#svg.addEventListener("pointermove", event => this.#follow(event));
        this.#svg.addEventListener("pointerleave", () => this.#go(null));
        this.#svg.addEventListener("blur", () => this.#go(null));
        this.#svg.addEventListener("keydown", event => this.#step(event));
    }

    start() {
        this.#seen.observe(this.root);
    }

    stop() {
        this.#seen.disconnect();
    }

    /**
     * Sets, for each index of x, `ticks` (two short texts, named by `axis`) and `heads` (the line above its values),
     * and `lines` [{ name, values, colour, dash }] with null for a missing value. `mark` is { at, text, colour }.
     */
    draw(given) {
        this.#data = given;
        if (this.#at !== null && this.#at >= given.ticks.length) this.#at = null;
        this.#paint();
    }

    /** Moves the hairline to an index of x; null hides it. */
    point(index) {
        this.#at = index;
        const hair = this.#svg.querySelector(".hair");
        if (!hair) return;
        this.#values.hidden = index === null;
        hair.setAttribute("visibility", index === null ? "hidden" : "visible");
        if (index === null) return;
        const x = this.#places.x(index);
        hair.setAttribute("x1", x);
        hair.setAttribute("x2", x);
        this.#tell(index, x);
    }

    /** Shows all values at an index as text, next to the hairline and inside the chart. */
    #tell(index, x) {
        const { heads, lines } = this.#data, wide = this.root.clientWidth;
        const known = lines.filter(line => line.values[index] != null);
        const rows = known.flatMap(line => [sample(line), element("span", { textContent: line.name }),
            element("span", { textContent: percent(line.values[index]) })]);
        this.#values.replaceChildren(element("b", { textContent: heads[index] }), ...rows);
        const own = this.#values.offsetWidth, beside = x > wide / 2 ? x - 8 - own : x + 8;
        this.#values.style.left = `${Math.max(0, Math.min(beside, wide - own))}px`;
        const spoken = known.map(line => `${line.name} ${percent(line.values[index])}`);
        this.#svg.setAttribute("aria-valuenow", index);
        this.#svg.setAttribute("aria-valuetext", [heads[index], ...spoken].join(", "));
    }

    #paint() {
        if (!this.#data || !this.root.clientWidth) return;
        const data = this.#data;
        const places = this.#places = placing(this.root.clientWidth, this.root.clientHeight, data);
        const hair = drawn("line", { class: "hair", y1: TOP, y2: places.y(0), visibility: "hidden" });
        const curves = data.lines.map(line => curve(places, line));
        this.#svg.replaceChildren(...axes(places, data), ...marks(places, data.mark), ...curves, hair);
        this.#svg.setAttribute("aria-valuemax", data.ticks.length - 1);
        this.point(this.#at);
    }

    #follow(event) {
        if (!this.#places) return;
        const box = this.#svg.getBoundingClientRect(); // in screen pixels: the canvas may be zoomed
        this.#go(this.#places.nearest((event.clientX - box.left) / box.width * this.root.clientWidth));
    }

    #step(event) {
        const last = this.#data ? this.#data.ticks.length - 1 : 0, here = this.#at ?? -1;
        const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.#go(Math.min(last, Math.max(0, to)));
    }

    #go(index) {
        this.point(index);
        this.#pointed(index);
    }
}

function drawn(tag, properties = {}, ...children) {
    const made = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
    made.append(...children);
    return made;
}

/** Coordinates: x of an index, y of a value, the nearest index of an x, and the grid lines of the axis. */
function placing(width, height, { ticks, lines }) {
    const known = lines.flatMap(line => line.values).filter(value => value != null);
    const { top, step } = scale(Math.max(0, ...known));
    const last = Math.max(1, ticks.length - 1), wide = width - LEFT - RIGHT, high = height - TOP - BOTTOM;
    return {
        width, top, step, count: ticks.length,
        x: index => LEFT + index / last * wide,
        y: value => TOP + high * (1 - Math.max(0, value) / top),
        nearest: x => Math.min(ticks.length - 1, Math.max(0, Math.round((x - LEFT) / wide * last))),
    };
}

/** The end of an axis for values up to `most`, and the distance of its grid lines: 1, 2 or 5 times a power of ten. */
function scale(most) {
    if (most <= 0) return { top: 1, step: 0.25 };
    const power = 10 ** Math.floor(Math.log10(most / 2));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(step => most / step <= 4);
    return { top: step * Math.ceil(most / step), step };
}

function axes({ x, y, top, step, width, count }, { axis, ticks }) {
    const text = (words, x, y, anchor) => drawn("text", { x, y, "text-anchor": anchor }, words);
    const made = axis.map((name, line) => text(name, LEFT - 17, y(0) + 14 + 12 * line, "end"));
    for (let value = 0; value < top + step / 2; value += step) {
        const ends = { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) };
        made.push(drawn("line", { class: "rule", ...ends }),
            text(`${Number((100 * value).toPrecision(3))} %`, LEFT - 6, y(value) + 3, "end"));
    }
    const every = Math.max(1, Math.ceil(count * NEAR / (width - LEFT - RIGHT)));
    for (let index = 0; index < count; index += every) {
        ticks[index].forEach((words, line) => made.push(text(words, x(index), y(0) + 14 + 12 * line, "middle")));
    }
    return made;
}

function marks({ x, y }, mark) {
    if (!mark) return [];
    const place = { x1: x(mark.at), x2: x(mark.at), y1: TOP, y2: y(0) };
    return [drawn("line", { class: "mark", stroke: mark.colour, ...place }),
        drawn("text", { x: x(mark.at) + 5, y: TOP + 8, style: `fill: ${mark.colour}` }, mark.text)];
}

/** A line's path, with gaps at missing values; single values are dots. */
function curve({ x, y }, { values, colour, dash = "" }) {
    let path = "", isOpen = false;
    const dots = [];
    values.forEach((value, index) => {
        if (value != null) {
            path += `${isOpen ? "L" : "M"}${x(index)} ${y(value)}`;
            if (values.length < 60) dots.push(drawn("circle", { cx: x(index), cy: y(value), r: 2, fill: colour }));
        }
        isOpen = value != null;
    });
    return drawn("g", {}, drawn("path", { class: "line", d: path, stroke: colour, "stroke-dasharray": dash }), ...dots);
}

/** A sample of a line, for legends. */
export function sample({ colour, dash = "" }) {
    return drawn("svg", { viewBox: "0 0 18 8", width: 18, height: 8, "aria-hidden": "true" },
        drawn("path", { d: "M0 4H18", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }));
}
