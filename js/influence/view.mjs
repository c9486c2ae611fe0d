// Show Influence's view: lines of both streams over the steps, with buttons for the kinds of lines.

import { CHART_CSS, Chart, lineColour, sample } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { STREAMS } from "../lib/palette.mjs";
import { t } from "../lib/words.mjs";

export const SIZE = [440, 320];
export const TEXTS = {
    empty: () => t("Run the workflow to see what each prompt changes, step by step."),
    chart: () => t("What each prompt changes, by step"),
    against: () => t("Compared with"),
    kinds: () => t("Lines"),
    nulls: { "empty prompt": () => t("against the empty prompt"), zeros: () => t("against zeros") },
    step: () => t("step"),
    sigma: "\u03c3",
    moment: (step, sigma, percent) => t("Step {step}, \u03c3 {sigma}, {percent} % of time", { step, sigma, percent }),
};
const INK = "var(--input-text, #ddd)", MUTED = "var(--descrip-text, #999)";
const BOTH = ["t5", "clip"];
const HUES = Object.fromEntries(BOTH.map(stream => [stream, lineColour(STREAMS[stream].hue)]));

// The kinds of lines. `of` returns a line for each column of the readings: [column, name, colour, dash].
/** @type {{ name(): string, title(): string, on?: boolean, alone?: boolean, dash?: string,
 *     of: [string, () => string, string, string][] }[]} */
const KINDS = [
    {
        name: () => t("beside the other"), title: () => t("What a prompt changes while the other prompt is active"),
        on: true,
        of: BOTH.map(stream => [`D_${stream}`, () => t("{stream} beside {other}", named(stream)), HUES[stream], ""]),
    },
    {
        name: () => t("alone"), title: () => t("What a prompt changes without the other prompt"), on: true, dash: "7 4",
        of: BOTH.map(stream => [`solo_${stream}`, () => t("{stream} alone", named(stream)), HUES[stream], "7 4"]),
    },
    {
        name: () => t("in blocks"), title: () => t("What a prompt changes in the chosen blocks only"), on: true,
        dash: "2 3",
        of: BOTH.map(stream => [`blocks_${stream}`, () => t("{stream} in blocks", named(stream)), HUES[stream], "2 3"]),
    },
    {
        name: () => t("both"), title: () => t("What both prompts change together"), on: true,
        of: [["whole", () => t("both"), INK, ""]],
    },
    {
        name: () => t("again"), on: true, dash: "1 3",
        title: () => t("What changes when the model is evaluated again with the same prompt: the noise floor"),
        of: [["floor", () => t("the same, again"), MUTED, "1 3"]],
    },
    {
        name: () => t("shared"), title: () => t("The interaction: the part of an effect that needs both prompts"),
        dash: "2 4", of: [["interaction", () => t("shared"), MUTED, "2 4"]],
    },
    {
        name: () => t("who decides"), alone: true,
        title: () => t("The share of each prompt in what both change together; the shares add up to 100 %"),
        of: BOTH.map(stream => [`share_${stream}`, () => t("{stream} decides", named(stream)), HUES[stream], ""]),
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

function named(stream) {
    return { stream: STREAMS[stream].name, other: STREAMS[stream === "t5" ? "clip" : "t5"].name };
}

export class InfluenceView {
    #reading = null;
    #on = new Set(KINDS.filter(kind => kind.on));
    #finding = element("div", { className: "finding scrolls" });
    #kinds = element("div", { className: "kinds", role: "group", "aria-label": TEXTS.kinds() });
    #against = element("select", { title: TEXTS.against(), "aria-label": TEXTS.against() });
    #plot = new Chart(TEXTS.chart());

    constructor(root) {
        root.append(element("div", { className: "view" }, this.#finding, this.#kinds, this.#plot.root));
        this.#against.addEventListener("change", () => this.#draw());
    }

    show(output) {
        [this.#reading] = output.flux_duet_influence;
        this.#finding.textContent = this.#reading.sentence;
        this.#against.replaceChildren(...Object.keys(this.#reading.nulls).map(value =>
            element("option", { value, textContent: TEXTS.nulls[value]?.() ?? value })));
        this.#draw();
    }

    start() {
        this.#plot.start();
    }

    stop() {
        this.#plot.stop();
    }

    /** Shares have another scale than effects, so they are shown separately. */
    #toggle(kind) {
        const isOn = this.#on.has(kind);
        for (const each of [...this.#on]) if (each.alone !== kind.alone) this.#on.delete(each);
        isOn ? this.#on.delete(kind) : this.#on.add(kind);
        if (!this.#on.size) KINDS.filter(each => each.on).forEach(each => this.#on.add(each));
        this.#draw();
    }

    #draw() {
        const { step, sigma, percent, nulls } = this.#reading, columns = nulls[this.#against.value];
        this.#list(columns);
        const shown = KINDS.filter(kind => this.#on.has(kind)).flatMap(kind => kind.of);
        this.#plot.draw({
            axis: [TEXTS.step(), TEXTS.sigma],
            lines: shown.filter(([column]) => column in columns)
                .map(([column, name, colour, dash]) => ({ name: name(), values: columns[column], colour, dash })),
            ticks: step.map((number, at) => [`${number}`, sigma[at].toFixed(2)]),
            heads: step.map((number, at) => TEXTS.moment(number, sigma[at].toFixed(3), percent[at].toFixed(0))),
        });
    }

    /** The legend of the hues, and a button for each available kind of lines. */
    #list(columns) {
        const streams = BOTH.map(stream => element("span", {},
            element("i", { style: { background: HUES[stream] } }), STREAMS[stream].name));
        const there = KINDS.filter(({ of: [[column]] }) => column in columns);
        const focused = this.#kinds.getRootNode().activeElement?.title;
        const buttons = there.map(kind => this.#button(kind));
        this.#kinds.replaceChildren(...streams, ...buttons, ...this.#against.options.length > 1 ? [this.#against] : []);
        buttons.find(button => button.title === focused)?.focus({ preventScroll: true });
    }

    #button(kind) {
        const button = element("button", { title: kind.title(), "aria-pressed": this.#on.has(kind) },
            sample({ colour: "currentColor", dash: kind.dash }), kind.name());
        button.addEventListener("click", () => this.#toggle(kind));
        return button;
    }
}
