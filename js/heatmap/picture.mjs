// The picture in grey with a map in cividis over it, blended as in nodes/probe/heat/overlay.py.

import { GRADIENT, LEVELS } from "../lib/cividis.mjs";
import { element } from "../lib/dom.mjs";

const SIDE = 640; // pixels of the longer side
const TEXTURE = 0.45; // weight of the picture in the blend
const TEXTS = { map: "Map of a word over the picture", least: "least", most: "most" };

export const PICTURE_CSS = `
    .picture { position: relative; min-height: 0; }
    .picture canvas { position: absolute; inset: 0; margin: auto; max-width: 100%; max-height: 100%; border-radius: 6px;
        cursor: crosshair; }
    .legend { display: flex; gap: 6px; align-items: center; padding: 0 6px; font-size: 11px; }
    .legend i { flex: 1; max-width: 120px; height: 6px; border-radius: 3px; background: ${GRADIENT}; }
`;

/** `pointed(place)` is called with the map's cell under the pointer, or null; `missing` if the picture was deleted. */
export class Picture {
    #canvas = element("canvas", { role: "img", "aria-label": TEXTS.map });
    #grey = null;
    #coloured = null;
    /** @type {[number, number]} height and width in cells */
    #size = [1, 1];
    #drawn = null;
    #url = "";
    #missing;

    constructor(pointed, missing) {
        this.#missing = missing;
        this.root = element("div", { className: "picture" }, this.#canvas);
        this.#canvas.addEventListener("pointermove", event => pointed(this.#place(event)));
        this.#canvas.addEventListener("pointerleave", () => pointed(null));
    }

    /** Sets the picture, or none, for maps of `size` [h, w]. */
    load(url, size) {
        this.#size = size;
        if (url && url === this.#url) return;
        this.#url = url;
        this.#grey = this.#coloured = null;
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
        const context = this.#canvas.getContext("2d");
        const whole = [0, 0, this.#canvas.width, this.#canvas.height];
        context.clearRect(...whole);
        const under = levels ? heat(levels, this.#size) : this.#coloured;
        if (!under) return;
        context.imageSmoothingQuality = "high";
        context.drawImage(under, ...whole);
        if (!levels || !this.#grey) return;
        for (const [mode, alpha] of [["multiply", TEXTURE], ["lighter", 0.2 * TEXTURE]]) {
            Object.assign(context, { globalCompositeOperation: mode, globalAlpha: alpha });
            context.drawImage(this.#grey, 0, 0);
        }
        Object.assign(context, { globalCompositeOperation: "source-over", globalAlpha: 1 });
    }

    #take(image) {
        this.#fit(image.naturalWidth, image.naturalHeight);
        this.#coloured = image;
        this.#grey = greyed(image, this.#canvas.width, this.#canvas.height);
        this.draw(this.#drawn);
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

/** The legend of the colours, which are scaled for each word separately. */
export function legend() {
    return element("div", { className: "legend quiet" }, TEXTS.least, element("i"), TEXTS.most);
}

/** A canvas with one pixel per cell. */
function heat(levels, [height, width]) {
    const small = element("canvas", { width, height });
    const context = small.getContext("2d");
    const pixels = context.createImageData(width, height);
    levels.forEach((level, place) => pixels.data.set([...LEVELS[level], 255], 4 * place));
    context.putImageData(pixels, 0, 0);
    return small;
}

/** The picture in grey, stretched from black to white, so that a dark picture is visible too. */
function greyed(image, width, height) {
    const made = element("canvas", { width, height });
    const context = made.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height);
    const { data } = pixels;
    let low = 255, high = 0;
    for (let at = 0; at < data.length; at += 4) {
        const value = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
        data[at] = value;
        low = Math.min(low, value);
        high = Math.max(high, value);
    }
    const scale = 255 / Math.max(1, high - low);
    for (let at = 0; at < data.length; at += 4) {
        data[at] = data[at + 1] = data[at + 2] = (data[at] - low) * scale;
    }
    context.putImageData(pixels, 0, 0);
    return made;
}
