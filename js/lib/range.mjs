// A slider with two thumbs, made of two native sliders, so that keys and screen readers work.

import { element } from "./dom.mjs";

export const RANGE_CSS = `
    .range { position: relative; height: 18px; flex: 1; min-width: 60px; }
    .range input { position: absolute; inset: 0; width: 100%; margin: 0; background: none; appearance: none;
        pointer-events: none; }
    .range input::-webkit-slider-runnable-track { height: 18px; background: none; }
    .range input::-moz-range-track { background: none; }
    .range input::-webkit-slider-thumb { appearance: none; pointer-events: auto; width: 12px; height: 16px;
        margin-top: 1px; border: 0; border-radius: 4px; background: var(--input-text, #ddd); cursor: ew-resize; }
    .range input::-moz-range-thumb { pointer-events: auto; width: 12px; height: 16px; border: 0; border-radius: 4px;
        background: var(--input-text, #ddd); cursor: ew-resize; }
    .range input:focus-visible { outline: none; }
    .range input:focus-visible::-webkit-slider-thumb { outline: 2px solid var(--p-primary-color, #5b9bd5); }
    .range .rail, .range .taken { position: absolute; top: 7px; height: 4px; border-radius: 2px; }
    .range .rail { left: 0; right: 0; background: var(--border-color, #444); }
    .range .taken { background: var(--descrip-text, #999); }
`;

/**
 * `names` are the thumbs' accessible names. `moved()` is called while a thumb moves, `done()` afterwards.
 * Returns { root, set, values, touched, disable }: `set(most, [first, last])` sets the range 0 to `most` and the
 * values, `touched()` is whether a thumb was moved since, `disable(why)` disables it with a reason.
 */
export function range(names, moved, done) {
    const thumbs = names.map(name => element("input", { type: "range", min: 0, "aria-label": name }));
    const taken = element("div", { className: "taken" });
    const root = element("div", { className: "range" }, element("div", { className: "rail" }), taken, ...thumbs);
    const values = () => thumbs.map(thumb => Number(thumb.value));
    let touched = false;

    function paint() {
        const [first, last] = values();
        const most = Math.max(1, Number(thumbs[0].max));
        // A thumb's centre moves from half its width to half its width before the end.
        const at = value => `calc(6px + ${value / most} * (100% - 12px))`;
        taken.style.left = at(first);
        taken.style.width = `calc(${(last - first) / most} * (100% - 12px))`;
        thumbs[0].style.zIndex = first > most / 2 ? 1 : 0; // if both are at one place, the one that can move is on top
    }
    thumbs.forEach((thumb, which) => {
        thumb.addEventListener("input", () => {
            const [first, last] = values();
            if (first > last) thumb.value = which ? first : last;
            touched = true;
            paint();
            moved();
        });
        thumb.addEventListener("change", done);
    });
    return {
        root, values,
        touched: () => touched,
        set(most, given) {
            touched = false;
            thumbs.forEach((thumb, which) => {
                thumb.max = most;
                thumb.value = given[which];
            });
            paint();
        },
        disable(why) {
            for (const thumb of thumbs) Object.assign(thumb, { disabled: Boolean(why), title: why });
        },
    };
}
