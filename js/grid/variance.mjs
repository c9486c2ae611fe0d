// A bar with the shares of the variance between the pictures; each part shows its share and its uncertainty.

import { percent } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { PARTS as HUES } from "../lib/palette.mjs";
import { t } from "../lib/words.mjs";

const PARTS = {
    clip: [() => "CLIP", HUES.clip], t5: [() => "T5", HUES.t5], both: [() => t("both together"), HUES.both],
    seed: [() => t("the seed"), HUES.seed], rest: [() => t("seed with prompts"), HUES.rest],
};
const PARTS_WITH_LORA = {
    clip: PARTS.clip, t5: PARTS.t5, lora: [() => t("the LoRA"), HUES.lora],
    both: [() => t("CLIP with T5"), HUES.both], clip_lora: [() => t("CLIP with the LoRA"), HUES.clip_lora],
    t5_lora: [() => t("T5 with the LoRA"), HUES.t5_lora],
    clip_t5_lora: [() => t("all three together"), HUES.clip_t5_lora],
    seed: PARTS.seed, rest: [() => t("seed with all others"), HUES.rest],
};
const TEXTS = {
    bar: () => t("What explains the differences between the pictures"),
    interval: (low, high) => t("95 % interval {low} to {high}", { low: percent(low), high: percent(high) }),
    none: () => t("no interval"),
    chance: level => t("chance alone gives up to {level}", { level: percent(level) }),
};

export const VARIANCE_CSS = `
    .variance { display: flex; gap: 2px; height: 20px; }
    .variance button { flex: var(--share) 1 0; min-width: 5px; padding: 0 2px; border: 0; border-radius: 3px;
        overflow: hidden;
        background: var(--hue); color: #fff; font-size: 11px; white-space: nowrap; line-height: 20px; cursor: help; }
    .parts { font-size: 11px; min-height: 1.4em; }
`;

/** Returns { root, show }; `show` takes a grid's `shares`, `intervals`, `chance` and `drawn_over`. */
export function variance() {
    const bar = element("div", { className: "variance", role: "group", "aria-label": TEXTS.bar() });
    const line = element("div", { className: "parts quiet" });
    const root = element("div", {}, bar, line);

    function show({ shares, intervals, chance, drawn_over }) {
        const parts = "lora" in shares ? PARTS_WITH_LORA : PARTS;
        const known = Object.keys(parts).filter(name => shares[name] !== null && shares[name] !== undefined);
        // An unbiased estimate may be negative, which counts as zero.
        const value = name => percent(Math.min(1, Math.max(0, shares[name])));
        const all = known.map(name => `${parts[name][0]()} ${value(name)}`).join(", ");
        bar.replaceChildren(...known.map(name => {
            const [titled, hue] = parts[name], title = titled(), range = intervals[name];
            const level = chance?.[name] ?? null; // only the prompts' parts have one, and not in old results
            const measured = `${title} ${value(name)}, ${range ? TEXTS.interval(...range) : TEXTS.none()}`;
            const words = level === null ? measured : `${measured}; ${TEXTS.chance(level)}`;
            const part = element("button", { title: `${words}. ${drawn_over}`, "aria-label": words,
                textContent: shares[name] > 0.1 ? title : "" });
            part.style.setProperty("--share", Math.max(0, shares[name]));
            part.style.setProperty("--hue", hue);
            for (const event of ["pointerenter", "focus"]) part.addEventListener(event, () => line.textContent = words);
            for (const event of ["pointerleave", "blur"]) part.addEventListener(event, () => line.textContent = all);
            return part;
        }));
        line.textContent = all;
        root.hidden = !known.length;
    }
    return { root, show };
}
