// The film strip: a frame per switch, with its distance from A's picture to B's below it, and a mark at the decision.

import { element } from "../lib/dom.mjs";
import { t } from "../lib/words.mjs";

const TEXTS = {
    strip: () => t("Pictures, by the step of the switch"),
    decided: () => t("The picture is decided here"),
};
const WIDTH = 46; // pixels of a frame, at least

export const STRIP_CSS = `
    .strip { flex: none; display: flex; gap: 3px; overflow-x: auto; overflow-y: hidden; padding: 8px 2px 4px; }
    .shot { flex: 1 0 ${WIDTH}px; max-width: 110px; position: relative; padding: 0 0 2px; border-radius: 4px;
        text-align: center; font-size: 10px; line-height: 1.3; overflow: visible; }
    .shot img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 3px 3px 0 0; }
    .shot i { display: block; height: 4px; margin: 2px 3px; border-radius: 2px; background: var(--border-color, #444);
        overflow: hidden; }
    .shot i::before { content: ""; display: block; height: 100%; width: var(--way); background: var(--hue); }
    .shot.at { border-color: var(--input-text, #ddd); }
    .decision { position: absolute; top: -7px; bottom: 0; left: calc(100% + 1px); width: 3px; margin-left: -1px;
        z-index: 1; background: var(--hue); border-radius: 2px; pointer-events: none; }
    .decision::before { content: ""; position: absolute; left: -4px; top: 0; border: 5.5px solid transparent;
        border-top-color: var(--hue); }
`;

/**
 * `looked(at)` is called with the index of the frame under the pointer or focus, null for none; `chosen(at)` with that
 * of a clicked frame; `missing` if a picture was deleted.
 */
export class FilmStrip {
    #shots = [];

    constructor(looked, chosen, missing) {
        this.looked = looked;
        this.chosen = chosen;
        this.missing = missing;
        this.root = element("div", { className: "strip", role: "group", "aria-label": TEXTS.strip() });
        this.root.addEventListener("pointerleave", () => looked(null));
        this.root.addEventListener("focusout", event => this.root.contains(event.relatedTarget) || looked(null));
    }

    /** Creates the frames: pictures at `urls`, if there are any, and the frames' labels. */
    show(urls, { step, way, decided }, names, hue) {
        this.root.style.setProperty("--hue", hue);
        this.#shots = names.map((name, at) => this.#shot(at, name, step[at], way[at], urls[at]));
        if (decided !== null) {
            // The mark is after the last frame that is more than half of the way.
            const last = Math.min(Math.floor(decided), this.#shots.length - 2);
            this.#shots[last].append(element("span", { className: "decision", title: TEXTS.decided() }));
        }
        this.root.replaceChildren(...this.#shots);
    }

    /** Shows the cursor at a frame. */
    mark(at) {
        this.#shots.forEach((shot, index) => {
            shot.classList.toggle("at", index === at);
            shot.tabIndex = index === at ? 0 : -1;
        });
        // Scrolls only the strip, not its parents.
        const { root } = this, shot = this.#shots[at];
        const before = shot.offsetLeft - root.offsetLeft, after = before + shot.offsetWidth;
        if (before < root.scrollLeft) root.scrollLeft = before;
        if (after > root.scrollLeft + root.clientWidth) root.scrollLeft = after - root.clientWidth;
    }

    #shot(at, name, step, way, url) {
        const image = { src: url, alt: "", draggable: false, onerror: this.missing };
        const bar = element("i");
        bar.style.setProperty("--way", `${100 * Math.min(1, Math.max(0, way ?? 0))}%`);
        const shot = element("button", { className: "shot", title: name, "aria-label": name },
            ...url ? [element("img", image)] : [], bar, `${step}`);
        shot.addEventListener("pointerenter", () => this.looked(at));
        shot.addEventListener("focus", () => this.looked(at));
        shot.addEventListener("click", () => this.chosen(at));
        shot.addEventListener("keydown", event => this.#move(event, at));
        return shot;
    }

    #move(event, at) {
        const last = this.#shots.length - 1;
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.#shots[Math.min(last, Math.max(0, to))].focus({ preventScroll: true });
    }
}
