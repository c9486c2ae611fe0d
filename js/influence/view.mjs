// What Show Influence shows: curves of both roads over the steps, which kinds of them is a matter of a click.

import { CHART_CSS, chart, lineColour, sample } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { ROADS } from "../lib/palette.mjs";

export const SIZE = [440, 320];
export const TEXTS = {
    empty: "Run the workflow to see what each prompt changes, step by step.",
    chart: "What each prompt changes, by step",
    against: "Against", kinds: "Lines",
    nulls: { "empty prompt": "the empty prompt", zeros: "zeros" },
    step: "Step", sigma: "\u03c3", time: "of time",
};
const INK = "var(--input-text, #ddd)", MUTED = "var(--descrip-text, #999)";
const BOTH = ["t5", "clip"];
const HUES = Object.fromEntries(BOTH.map(road => [road, lineColour(ROADS[road].hue)]));

// The kinds of lines. `of` gives a line for each column of the readings: [column, name, colour, dash].
const KINDS = [
    {
        name: "beside the other", title: "What a prompt changes beside the other one", on: true,
        of: BOTH.map(road => [`D_${road}`, `${ROADS[road].name} beside ${other(road)}`, HUES[road], ""]),
    },
    {
        name: "alone", title: "What a prompt changes without the other one", on: true, dash: "7 4",
        of: BOTH.map(road => [`solo_${road}`, `${ROADS[road].name} alone`, HUES[road], "7 4"]),
    },
    {
        name: "in blocks", title: "What a prompt changes in the chosen blocks alone", on: true, dash: "2 3",
        of: BOTH.map(road => [`blocks_${road}`, `${ROADS[road].name} in blocks`, HUES[road], "2 3"]),
    },
    { name: "both", title: "What both prompts change together", on: true, of: [["whole", "both", INK, ""]] },
    {
        name: "shared", title: "The interaction: what one prompt's effect owes to the other", on: false, dash: "2 4",
        of: [["interaction", "shared", MUTED, "2 4"]],
    },
    {
        name: "who decides", title: "Shares of what both change together; they add up to 100 %", on: false, alone: true,
        of: BOTH.map(road => [`share_${road}`, `${ROADS[road].name} decides`, HUES[road], ""]),
    },
];

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; }
    .finding { max-height: 5.7em; overflow: auto; }
    .kinds { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
    .kinds button { display: flex; align-items: center; gap: 5px; font-size: 11px; padding: 1px 7px; opacity: .55; }
    .kinds button[aria-pressed="true"] { opacity: 1; border-color: var(--descrip-text, #999); }
    .kinds span { display: flex; align-items: center; gap: 4px; font-size: 11px; margin-right: 4px; }
    .kinds i { width: 9px; height: 9px; border-radius: 50%; }
    .kinds select { font: inherit; font-size: 11px; color: inherit; background: var(--comfy-input-bg, #222);
        border: 1px solid var(--border-color, #444); border-radius: 6px; margin-left: auto; }
    ${CHART_CSS}
`;

function other(road) {
    return ROADS[road === "t5" ? "clip" : "t5"].name;
}

export function influenceView(root) {
    const finding = element("div", { className: "finding scrolls" });
    const kinds = element("div", { className: "kinds", role: "group", "aria-label": TEXTS.kinds });
    const against = element("select", { title: TEXTS.against, "aria-label": TEXTS.against });
    const plot = chart(TEXTS.chart);
    root.append(element("div", { className: "view" }, finding, kinds, plot.root));
    const on = new Set(KINDS.filter(kind => kind.on));
    let reading = null;
    against.addEventListener("change", draw);

    /** Shares have another scale than effects: they stand alone. */
    function toggle(kind) {
        const isOn = on.has(kind);
        if (kind.alone !== [...on].some(each => each.alone)) on.forEach(each => each.alone !== kind.alone && on.delete(each));
        isOn ? on.delete(kind) : on.add(kind);
        if (!on.size) KINDS.filter(each => each.on).forEach(each => on.add(each));
        list();
        draw();
    }
    function list() {
        const there = KINDS.filter(({ of }) => of[0][0] in reading.nulls[against.value]);
        const roads = BOTH.map(road => element("span", {},
            element("i", { style: { background: HUES[road] } }), ROADS[road].name));
        kinds.replaceChildren(...roads, ...there.map(kind => {
            const button = element("button", { title: kind.title, "aria-pressed": on.has(kind) },
                sample({ colour: "currentColor", dash: kind.dash }), kind.name);
            button.addEventListener("click", () => toggle(kind));
            return button;
        }));
        if (against.options.length > 1) kinds.append(against);
    }
    function draw() {
        const columns = reading.nulls[against.value];
        const shown = KINDS.filter(kind => on.has(kind)).flatMap(kind => kind.of).filter(([column]) => column in columns);
        plot.draw({
            axis: [TEXTS.step.toLowerCase(), TEXTS.sigma],
            lines: shown.map(([column, name, colour, dash]) => ({ name, values: columns[column], colour, dash })),
            ticks: reading.step.map((step, at) => [`${step}`, reading.sigma[at].toFixed(2)]),
            heads: reading.step.map((step, at) => `${TEXTS.step} ${step}, ${TEXTS.sigma} ${reading.sigma[at].toFixed(3)}, `
                + `${reading.percent[at].toFixed(0)} % ${TEXTS.time}`),
        });
    }
    return {
        show(output) {
            [reading] = output.flux_duet_influence;
            finding.textContent = reading.sentence;
            against.replaceChildren(...Object.keys(reading.nulls).map(null_ =>
                element("option", { value: null_, textContent: `${TEXTS.against.toLowerCase()} ${TEXTS.nulls[null_] ?? null_}` })));
            list();
            draw();
        },
        start: plot.start,
        stop: plot.stop,
    };
}
