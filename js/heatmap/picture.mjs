// The picture with a map in cividis over it, transparent where the map is low.

import { GRADIENT, LEVELS } from "../lib/cividis.mjs";
import { element } from "../lib/dom.mjs";
import { t } from "../lib/words.mjs";

const SIDE = 640; // pixels of the longer side
const OPACITY = 80; // percent of the map's highest values, on a new node; as in nodes/palette.py
const KEPT = "flux_duet_opacity"; // in the node's properties
const TEXTS = {
    map: () => t("Map of a word over the picture"),
    least: () => t("least"),
    most: () => t("most"),
    opacity: () => t("Opacity"),
    hold: () => t("Press and hold to see the picture without the map."),
    slide: () => t("Opacity of the map where it is highest, in percent. Lower it to see more of the picture."),
};

export const PICTURE_CSS = `
    .picture { position: relative; min-height: 0; }
    .picture canvas { position: absolute; inset: 0; margin: auto; max-width: 100%; max-height: 100%; border-radius: 6px;
        cursor: crosshair; }
    .legend { display: flex; gap: 6px; align-items: center; padding: 0 6px; font-size: 11px; }
    .legend i { flex: 1; max-width: 120px; height: 6px; border-radius: 3px; background: ${GRADIENT};
        mask: linear-gradient(to right, rgb(0 0 0 / .15), #000); }
    .legend label { display: flex; align-items: center; gap: 6px; margin-left: auto; }
    .legend input { width: 72px; height: 14px; margin: 0; accent-color: var(--descrip-text, #999); cursor: ew-resize; }
`;

/** `pointed(place)` is called with the map's cell under the pointer, or null; `missing` if the picture was deleted. */
export class Picture {
    #canvas = element("canvas", { role: "img", "aria-label": TEXTS.map() });
    #coloured = null;
    /** @type {[number, number]} height and width in cells */
    #size = [1, 1];
    #drawn = null;
    #opacity = OPACITY / 100;
    #isHeld = false; // the picture alone is shown
    #url = "";
    #missing;

    constructor(pointed, missing) {
        this.#missing = missing;
        this.root = element("div", { className: "picture" }, this.#canvas);
        this.#canvas.addEventListener("pointermove", event => pointed(this.#place(event)));
        this.#canvas.addEventListener("pointerleave", () => pointed(null));
        this.#canvas.title = TEXTS.hold();
        for (const [event, isHeld] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false]]) {
            this.#canvas.addEventListener(event, () => this.#hold(isHeld));
        }
    }

    /** Sets how much the map covers where it is highest, from 0 to 1. */
    cover(share) {
        this.#opacity = share;
        this.#paint();
    }

    /** Sets the picture, or none, for maps of `size` [h, w]. */
    load(url, size) {
        this.#size = size;
        if (url && url === this.#url) return;
        this.#url = url;
        this.#coloured = null;
        this.#fit(size[1], size[0]);
        if (!url) return;
        const image = new Image();
        image.onload = () => url === this.#url && this.#take(image);
        image.onerror = () => url === this.#url && this.#missing();
        image.src = url;
    }

    /** Draws a map over the picture; null draws only the picture. */
    draw(levels) {
        this.#drawn = levels;
        this.#paint();
    }

    #hold(isHeld) {
        if (isHeld === this.#isHeld) return;
        this.#isHeld = isHeld;
        this.#paint();
    }

    #paint() {
        const context = this.#canvas.getContext("2d"), picture = this.#coloured;
        const whole = [0, 0, this.#canvas.width, this.#canvas.height];
        context.clearRect(...whole);
        context.imageSmoothingQuality = "high";
        if (picture) context.drawImage(picture, ...whole);
        if (!this.#drawn || (this.#isHeld && picture)) return;
        context.drawImage(heat(this.#drawn, this.#size, picture ? this.#opacity : null), ...whole);
    }

    #take(image) {
        this.#fit(image.naturalWidth, image.naturalHeight);
        this.#coloured = image;
        this.#paint();
    }

    #fit(width, height) {
        const scale = SIDE / Math.max(width, height);
        this.#canvas.width = Math.max(1, Math.round(width * scale));
        this.#canvas.height = Math.max(1, Math.round(height * scale));
    }

    #place(event) {
        const box = this.#canvas.getBoundingClientRect();
        const shares = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
        const [row, column] = shares.map((share, axis) =>
            Math.min(this.#size[axis] - 1, Math.max(0, Math.floor(share * this.#size[axis]))));
        return row * this.#size[1] + column;
    }
}

/**
 * The legend of the colours, which are scaled for each word separately, with a slider for the map's opacity, which the
 * node keeps. `changed(share)` is called with it, 0 to 1. Returns { root, show }: `show` reads the node's.
 */
export function legend(node, changed) {
    const slider = element("input", { type: "range", min: 0, max: 100, title: TEXTS.slide(), "aria-label": TEXTS.opacity() });
    slider.addEventListener("input", () => {
        node.properties[KEPT] = Number(slider.value);
        changed(Number(slider.value) / 100);
    });
    function show() {
        slider.value = String(node.properties[KEPT] ?? OPACITY);
        changed(Number(slider.value) / 100);
    }
    const label = element("label", {}, TEXTS.opacity(), slider);
    return { root: element("div", { className: "legend quiet" }, TEXTS.least(), element("i"), TEXTS.most(), label), show };
}

/** A canvas with one pixel per cell, as transparent as the map is low; opaque for null. */
function heat(levels, [height, width], opacity) {
    const small = element("canvas", { width, height });
    const context = small.getContext("2d");
    const pixels = context.createImageData(width, height);
    levels.forEach((level, place) => {
        pixels.data.set([...LEVELS[level], opacity === null ? 255 : Math.round(opacity * level)], 4 * place);
    });
    context.putImageData(pixels, 0, 0);
    return small;
}
