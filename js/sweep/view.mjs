// What Switch Sweep shows: a frame for each switch, one of them large, and how far each is from both prompts' pictures.
// One cursor runs through all three: a place among the switches.

import { fileUrl } from "../lib/asking.mjs";
import { CHART_CSS, chart, lineColour, percent } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { ROADS } from "../lib/palette.mjs";
import { STRIP_CSS, filmStrip } from "./strip.mjs";

export const SIZE = [460, 390];
export const TEXTS = {
    empty: "Run the workflow to see when in a run the prompt matters.",
    gone: "The pictures are no longer on the server. Run the workflow again; if nothing in it has changed, change the "
        + "seed first.",
    chart: "How far each picture is from pure A and pure B",
    toA: "to pure A", toB: "to pure B", decided: "decided", sigma: "\u03c3", step: "step", time: "of time",
    first: "B throughout", last: "A throughout", from: step => `B from step ${step}`,
    went: share => `${percent(share)} of the way from A\u2019s picture to B\u2019s`,
    large: "The picture at the cursor",
};
const HUES = {
    T5: lineColour(ROADS.t5.hue), CLIP: lineColour(ROADS.clip.hue), both: "var(--input-text, #ddd)",
};

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; }
    .finding { max-height: 4.3em; overflow: auto; }
    .middle { flex: 1; min-height: 0; display: grid; grid-template: minmax(0, 1fr) / minmax(0, 2fr) minmax(0, 3fr); gap: 8px; }
    .middle.bare { grid-template-columns: 1fr; }
    .large { margin: 0; min-height: 0; display: flex; flex-direction: column; gap: 3px; }
    .large .frame { flex: 1; min-height: 0; position: relative; }
    .large img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
    .large figcaption { font-size: 11px; min-height: 2.8em; }
    .told { color: var(--error-text, #e66); }
    .told:empty { display: none; }
    [hidden] { display: none !important; }
    ${STRIP_CSS} ${CHART_CSS}
`;

export function sweepView(root) {
    const finding = element("div", { className: "finding scrolls" });
    const told = element("div", { className: "told", role: "status" });
    const image = element("img", { alt: TEXTS.large });
    const caption = element("figcaption", { className: "quiet" });
    const large = element("figure", { className: "large" }, element("div", { className: "frame" }, image), caption);
    const plot = chart(TEXTS.chart, look);
    const strip = filmStrip({ looked: look, chosen: at => look(chosen = at), missing: () => told.textContent = TEXTS.gone });
    const middle = element("div", { className: "middle" }, large, plot.root);
    root.append(element("div", { className: "view" }, finding, strip.root, middle, told));
    let swept = null, chosen = 0;

    /** At a place among the switches, or back at the chosen one. */
    function look(place) {
        if (!swept) return;
        const at = place ?? chosen;
        strip.mark(at);
        plot.point(place);
        if (swept.frames.length) image.src = fileUrl(swept.frames[at]);
        const lines = [`${head(at)}: ${when(at)}`];
        if (swept.way[at] !== null) lines.push(TEXTS.went(swept.way[at]));
        caption.replaceChildren(...lines.map(line => element("div", { textContent: line })));
    }
    function head(at) {
        if (at === 0) return TEXTS.first;
        return at === swept.step.length - 1 ? TEXTS.last : TEXTS.from(swept.step[at]);
    }
    function when(at) {
        return `${TEXTS.sigma} ${swept.sigma[at].toFixed(2)}, ${swept.percent[at].toFixed(0)} % ${TEXTS.time}`;
    }
    function draw() {
        const hue = HUES[swept.road];
        plot.draw({
            axis: [TEXTS.step, TEXTS.sigma],
            ticks: swept.step.map((step, at) => [`${step}`, swept.sigma[at].toFixed(2)]),
            heads: swept.step.map((_, at) => `${head(at)}, ${when(at)}`),
            lines: [{ name: TEXTS.toA, values: swept.to_a, colour: hue },
                { name: TEXTS.toB, values: swept.to_b, colour: "var(--descrip-text, #999)", dash: "7 4" }],
            mark: swept.decided === null ? null : { at: swept.decided, text: TEXTS.decided, colour: hue },
        });
    }
    return {
        show(output) {
            [swept] = output.flux_duet_sweep;
            finding.textContent = [swept.sentence, swept.kind].filter(Boolean).join(" ");
            told.textContent = "";
            large.hidden = !swept.frames.length;
            middle.classList.toggle("bare", large.hidden);
            chosen = Math.round(swept.decided ?? 0);
            const names = swept.step.map((_, at) => `${head(at)}, ${when(at)}`);
            strip.show(swept.frames.map(fileUrl), swept, names, HUES[swept.road]);
            draw();
            look(null);
        },
        start: plot.start,
        stop: plot.stop,
    };
}
