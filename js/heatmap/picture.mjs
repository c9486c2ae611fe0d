// The picture in grey, and a map in cividis over it, mixed as nodes/probe/heat/overlay.py mixes them.

import { GRADIENT, LEVELS } from "../lib/cividis.mjs";
import { element } from "../lib/dom.mjs";

const SIDE = 640; // pixels of the longer side
const TEXTURE = 0.45; // how much of the picture shows through
const TEXTS = { map: "Map of a word over the picture", least: "least", most: "most" };

export const PICTURE_CSS = `
    .picture { position: relative; min-height: 0; }
    .picture canvas { position: absolute; inset: 0; margin: auto; max-width: 100%; max-height: 100%; border-radius: 6px;
        cursor: crosshair; }
    .legend { display: flex; gap: 6px; align-items: center; padding: 0 6px; font-size: 11px; }
    .legend i { flex: 1; max-width: 120px; height: 6px; border-radius: 3px; background: ${GRADIENT}; }
`;

/**
 * Returns { root, load, draw }. `load(url, size)` takes a picture, or none, for maps of `size` [h, w]; `draw(levels)`
 * draws a map over it, or the picture alone. `pointed(place)` is told the place in the map under the pointer, or null.
 */
export function picture({ pointed, missing }) {
    const canvas = element("canvas", { role: "img", "aria-label": TEXTS.map });
    const root = element("div", { className: "picture" }, canvas);
    let grey = null, coloured = null, size = [1, 1], drawn = null, loading = "";

    function fit(width, height) {
        const scale = SIDE / Math.max(width, height);
        canvas.width = Math.max(1, Math.round(width * scale));
        canvas.height = Math.max(1, Math.round(height * scale));
    }
    function load(url, mapSize) {
        size = mapSize;
        if (url && url === loading) return;
        loading = url;
        grey = coloured = null;
        fit(size[1], size[0]);
        if (!url) return;
        const image = new Image();
        image.onload = () => {
            if (url !== loading) return;
            fit(image.naturalWidth, image.naturalHeight);
            coloured = image;
            grey = greyed(image, canvas.width, canvas.height);
            draw(drawn);
        };
        image.onerror = () => url === loading && missing();
        image.src = url;
    }
    function draw(levels) {
        drawn = levels;
        const context = canvas.getContext("2d");
        const whole = [0, 0, canvas.width, canvas.height];
        context.clearRect(...whole);
        if (!levels) return coloured && context.drawImage(coloured, ...whole);
        context.imageSmoothingQuality = "high";
        context.drawImage(heat(levels, size), ...whole);
        if (!grey) return;
        for (const [mode, alpha] of [["multiply", TEXTURE], ["lighter", 0.2 * TEXTURE]]) {
            Object.assign(context, { globalCompositeOperation: mode, globalAlpha: alpha });
            context.drawImage(grey, 0, 0);
        }
        Object.assign(context, { globalCompositeOperation: "source-over", globalAlpha: 1 });
    }
    canvas.addEventListener("pointermove", event => {
        const box = canvas.getBoundingClientRect();
        const [row, column] = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width]
            .map((share, axis) => Math.min(size[axis] - 1, Math.max(0, Math.floor(share * size[axis]))));
        pointed(row * size[1] + column);
    });
    canvas.addEventListener("pointerleave", () => pointed(null));
    return { root, load, draw };
}

/** What the colours mean; each word's by itself. */
export function legend() {
    return element("div", { className: "legend quiet" }, TEXTS.least, element("i"), TEXTS.most);
}

/** A canvas of one pixel for each place. */
function heat(levels, [height, width]) {
    const small = element("canvas", { width, height });
    const context = small.getContext("2d");
    const pixels = context.createImageData(width, height);
    levels.forEach((level, place) => pixels.data.set([...LEVELS[level], 255], 4 * place));
    context.putImageData(pixels, 0, 0);
    return small;
}

/** The picture without its colours, from black to white: a dark picture's shapes are to be seen too. */
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
