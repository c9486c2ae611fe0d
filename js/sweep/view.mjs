// Switch Sweep's view: a frame per switch, one enlarged frame, and a chart of the distances from both pictures.
// All three share one cursor, the index of a switch.

import { fileUrl } from "../lib/requests.mjs";
import { CHART_CSS, Chart, lineColour, percent } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { STREAMS } from "../lib/palette.mjs";
import { t } from "../lib/words.mjs";
import { FilmStrip, STRIP_CSS } from "./strip.mjs";

export const SIZE = [460, 390];
export const TEXTS = {
    empty: () => t("Run the workflow to see when in a run the prompt matters."),
    gone: () => t("The pictures are no longer on the server. Run the workflow again. If nothing in it has changed, change "
        + "the seed first."),
    chart: () => t("Distance of each picture to pure A and to pure B"),
    toA: () => t("to pure A"),
    toB: () => t("to pure B"),
    decided: () => t("decided"),
    step: () => t("step"),
    sigma: "\u03c3",
    first: () => t("B in all steps"),
    last: () => t("A in all steps"),
    from: step => t("B from step {step}", { step }),
    moment: (sigma, percent) => t("\u03c3 {sigma}, {percent} % of time", { sigma, percent }),
    went: share => t("{share} of the way from A\u2019s picture to B\u2019s", { share: percent(share) }),
    large: () => t("The picture at the cursor"),
};
const HUES = {
    T5: lineColour(STREAMS.t5.hue), CLIP: lineColour(STREAMS.clip.hue), both: "var(--input-text, #ddd)",
};

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; }
    .finding { max-height: 4.3em; overflow: auto; }
    .middle { flex: 1; min-height: 0; display: grid; gap: 8px;
        grid-template: minmax(0, 1fr) / minmax(0, 2fr) minmax(0, 3fr); }
    .middle.bare { grid-template-columns: 1fr; }
    .large { margin: 0; min-height: 0; display: flex; flex-direction: column; gap: 3px; }
    .large .frame { flex: 1; min-height: 0; position: relative; }
    .large img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
    .large figcaption { font-size: 11px; min-height: 2.8em; }
    .note { color: var(--error-text, #e66); }
    .note:empty { display: none; }
    [hidden] { display: none !important; }
    ${STRIP_CSS} ${CHART_CSS}
`;

export class SweepView {
    #swept = null;
    #chosen = 0;
    #finding = element("div", { className: "finding scrolls" });
    #note = element("div", { className: "note", role: "status" });
    #image = element("img", { alt: TEXTS.large() });
    #caption = element("figcaption", { className: "quiet" });
    #large = element("figure", { className: "large" },
        element("div", { className: "frame" }, this.#image), this.#caption);
    #plot = new Chart(TEXTS.chart(), at => this.#look(at));
    #strip = new FilmStrip(at => this.#look(at), at => this.#choose(at), () => this.#note.textContent = TEXTS.gone());
    #middle = element("div", { className: "middle" }, this.#large, this.#plot.root);

    constructor(root) {
        root.append(element("div", { className: "view" }, this.#finding, this.#strip.root, this.#middle, this.#note));
    }

    show(output) {
        const swept = this.#swept = output.flux_duet_sweep[0];
        this.#finding.textContent = [swept.sentence, swept.kind].filter(Boolean).join(" ");
        this.#note.textContent = "";
        this.#large.hidden = !swept.frames.length;
        this.#middle.classList.toggle("bare", this.#large.hidden);
        const names = swept.step.map((_, at) => `${this.#head(at)}, ${this.#when(at)}`);
        this.#strip.show(swept.frames.map(fileUrl), swept, names, HUES[swept.road]);
        this.#draw(names);
        this.#chosen = Math.round(swept.decided ?? 0);
        this.#look(null);
    }

    start() {
        this.#plot.start();
    }

    stop() {
        this.#plot.stop();
    }

    #choose(at) {
        this.#chosen = at;
        this.#look(at);
    }

    /** Moves the cursor to a switch; null moves it back to the chosen one. */
    #look(place) {
        if (!this.#swept) return;
        const at = place ?? this.#chosen, { frames, way } = this.#swept;
        this.#strip.mark(at);
        this.#plot.point(place);
        if (frames.length) this.#image.src = fileUrl(frames[at]);
        const lines = [`${this.#head(at)}: ${this.#when(at)}`, ...way[at] === null ? [] : [TEXTS.went(way[at])]];
        this.#caption.replaceChildren(...lines.map(line => element("div", { textContent: line })));
    }

    #head(at) {
        const { step } = this.#swept;
        if (at === 0) return TEXTS.first();
        return at === step.length - 1 ? TEXTS.last() : TEXTS.from(step[at]);
    }

    #when(at) {
        const { sigma, percent } = this.#swept;
        return TEXTS.moment(sigma[at].toFixed(2), percent[at].toFixed(0));
    }

    #draw(heads) {
        const { step, sigma, road, decided, to_a, to_b } = this.#swept, hue = HUES[road];
        this.#plot.draw({
            axis: [TEXTS.step(), TEXTS.sigma],
            ticks: step.map((number, at) => [`${number}`, sigma[at].toFixed(2)]),
            heads,
            lines: [{ name: TEXTS.toA(), values: to_a, colour: hue },
                { name: TEXTS.toB(), values: to_b, colour: "var(--descrip-text, #999)", dash: "7 4" }],
            mark: decided === null ? null : { at: decided, text: TEXTS.decided(), colour: hue },
        });
    }
}
