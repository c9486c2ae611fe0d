// The film strip: a frame for each switch, under it how far it went from A's picture to B's, between two the decision.

import { element } from "../lib/dom.mjs";

const TEXTS = { strip: "Pictures by the step of the switch", decided: "The picture is decided here" };
const WIDTH = 46; // pixels of a frame, at least

export const STRIP_CSS = `
    .strip { flex: none; display: flex; gap: 3px; overflow-x: auto; overflow-y: hidden; padding: 8px 2px 4px; }
    .shot { flex: 1 0 ${WIDTH}px; max-width: 110px; position: relative; padding: 0 0 2px; border-radius: 4px; text-align: center;
        font-size: 10px; line-height: 1.3; overflow: visible; }
    .shot img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 3px 3px 0 0; }
    .shot i { display: block; height: 4px; margin: 2px 3px; border-radius: 2px; background: var(--border-color, #444);
        overflow: hidden; }
    .shot i::before { content: ""; display: block; height: 100%; width: var(--way); background: var(--hue); }
    .shot.at { border-color: var(--input-text, #ddd); }
    .decision { position: absolute; top: -7px; bottom: 0; left: calc(100% + 1px); width: 3px; margin-left: -1px; z-index: 1;
        background: var(--hue); border-radius: 2px; pointer-events: none; }
    .decision::before { content: ""; position: absolute; left: -4px; top: 0; border: 5.5px solid transparent;
        border-top-color: var(--hue); }
`;

/**
 * Returns { root, show, mark }: `show(urls, { step, way, decided }, names, hue)` lays the frames out, `mark(at)` shows where
 * the cursor is. `looked(at)` is told which frame is pointed at or focused, null for none, and `chosen(at)` which is
 * clicked; `missing` that a picture is gone.
 */
export function filmStrip({ looked, chosen, missing }) {
    const root = element("div", { className: "strip", role: "group", "aria-label": TEXTS.strip });
    let shots = [];

    function show(urls, { step, way, decided }, names, hue) {
        root.style.setProperty("--hue", hue);
        shots = names.map((name, at) => {
            const picture = urls[at] ? [element("img", { src: urls[at], alt: "", draggable: false, onerror: missing })] : [];
            const bar = element("i");
            bar.style.setProperty("--way", `${100 * Math.min(1, Math.max(0, way[at] ?? 0))}%`);
            const shot = element("button", { className: "shot", title: name, "aria-label": name }, ...picture, bar, `${step[at]}`);
            shot.addEventListener("pointerenter", () => looked(at));
            shot.addEventListener("focus", () => looked(at));
            shot.addEventListener("click", () => chosen(at));
            shot.addEventListener("keydown", event => move(event, at));
            return shot;
        });
        if (decided !== null) {
            // Between two frames: after the last one that is moved more than half of the way.
            shots[Math.min(Math.floor(decided), shots.length - 2)].append(
                element("span", { className: "decision", title: TEXTS.decided }));
        }
        root.replaceChildren(...shots);
    }
    function move(event, at) {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shots.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        shots[Math.min(shots.length - 1, Math.max(0, to))].focus({ preventScroll: true });
    }
    function mark(at) {
        shots.forEach((shot, index) => {
            shot.classList.toggle("at", index === at);
            shot.tabIndex = index === at ? 0 : -1;
        });
        // Only the strip may scroll, not what it is in.
        const shot = shots[at], before = shot.offsetLeft - root.offsetLeft, after = before + shot.offsetWidth;
        if (before < root.scrollLeft) root.scrollLeft = before;
        if (after > root.scrollLeft + root.clientWidth) root.scrollLeft = after - root.clientWidth;
    }
    root.addEventListener("pointerleave", () => looked(null));
    root.addEventListener("focusout", event => root.contains(event.relatedTarget) || looked(null));
    return { root, show, mark };
}
