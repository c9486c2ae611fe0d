// The timeline on a node: two tracks, a ruler, and a line that says which run it is drawn for.

import { ask, asker } from "../lib/asking.mjs";
import { element } from "../lib/dom.mjs";
import { chain, keepUp } from "../lib/life.mjs";
import { menu } from "../lib/menu.mjs";
import { panel } from "../lib/panel.mjs";
import { setting } from "../lib/runs.mjs";
import { tells, tip } from "../lib/tip.mjs";
import { isLinked, setValues, valueOf, watch } from "../lib/widgets.mjs";
import { clock, even } from "./clock.mjs";
import { PERCENT, SIGMA, STEP, TimelineError, parse } from "./grammar.mjs";
import { moves } from "./moves.mjs";
import { idle, problems, prompts } from "./prompts.mjs";
import { marks, told } from "./ruler.mjs";
import { ASSUMED, runOf } from "./run.mjs";
import { HEIGHT, STYLE } from "./style.mjs";
import { TEXTS } from "./texts.mjs";
import { Track } from "./track.mjs";

const NEXT = { [STEP]: PERCENT, [PERCENT]: SIGMA, [SIGMA]: STEP };
const MOST_TICKS = 60;
const UNIT = "flux_duet_unit"; // in the node's properties

/** Hangs on a node the timelines of `streams`, each { name, hue, type, widget, socket }, with no `socket` for texts. */
export class Timeline {
    #run = { plan: ASSUMED, told: [], title: null, isKnown: false };
    #clock = clock(even(ASSUMED.steps, ASSUMED.shift), ASSUMED.shift);
    #asked = ""; // the plan whose schedule is wanted
    #offline = "";
    #states = [];

    constructor(node, streams) {
        this.node = node;
        this.streams = streams;
        const { root } = panel(node, "timeline", { css: STYLE, height: HEIGHT, after: streams.at(-1).widget });
        this.parts = build(root, streams);
        this.tip = tip(root);
        this.menu = menu(root);
        this.tracks = streams.map(stream => new Track(this, stream));
        this.parts.lanes.prepend(...this.tracks.map(track => track.root));
        this.asking = asker(
            (plan, signal) => ask("/flux_duet/sigmas", plan, signal),
            ({ sigmas }, { shift }) => this.#keepTime(sigmas, shift),
            error => this.#goOn(error),
        );
        this.#listen();
        this.#paint();
    }

    // ---- what the tracks ask for

    write(stream, text) {
        setValues([this.node, { [stream.widget]: text }]);
    }

    /** A line across the tracks, at a place in steps; null takes it away. */
    guide(place) {
        this.parts.guide.hidden = place === null;
        this.parts.guide.style.left = `${100 * (place ?? 0) / this.#clock.steps}%`;
    }

    /** Moves the keyboard to a segment, past a track's end to the other track. */
    go(stream, index) {
        const at = this.streams.indexOf(stream), count = this.#states[at].entries.length;
        const to = at + (index < 0 ? -1 : index >= count ? 1 : 0);
        if (to === at) this.tracks[at].focus(index);
        else this.tracks[to]?.focus(index < 0 ? Infinity : 0);
    }

    /** A place in words, in all units. */
    explain(place) {
        return told(this.#clock, place, this.#unit, TEXTS);
    }

    // ---- what is shown

    get #unit() {
        const chosen = this.node.properties[UNIT];
        return chosen in NEXT ? chosen : STEP;
    }

    #refresh() {
        if (!this.node.graph || this.tracks.some(track => track.isBusy)) return;
        this.#run = runOf(this.node);
        const wanted = JSON.stringify(this.#run.plan);
        if (wanted !== this.#asked) this.asking.want(this.#run.plan);
        this.#asked = wanted;
        this.#paint();
    }

    #keepTime(sigmas, shift, offline = "") {
        this.#offline = offline;
        this.#clock = clock(sigmas, shift);
        this.#paint();
    }

    /** Without the server. */
    #goOn(error) {
        this.#asked = ""; // asked again when something changes
        const { steps, shift } = this.#run.plan;
        this.#keepTime(even(steps, shift), shift, TEXTS.run.offline(error.message));
    }

    #paint() {
        const explain = place => this.explain(place);
        this.#states = this.streams.map(stream => ({ ...this.#read(stream), explain }));
        this.#states.forEach((state, at) => this.tracks[at].show(state));
        drawRuler(this.parts, this.#clock, this.#unit);
        const wrong = this.#states.flatMap(state => state.problems);
        const run = [...this.#run.told, this.#offline].filter(Boolean).join(" \u00b7 ");
        this.parts.foot.textContent = wrong.length ? wrong.join(" ") : run;
        this.parts.foot.toggleAttribute("data-wrong", wrong.length > 0);
    }

    #read(stream) {
        const state = read(this.node, stream, this.#clock, this.#unit);
        if (state.entries && this.#run.isKnown) state.problems.push(...idle(stream, state.entries, this.#clock));
        return state;
    }

    // ---- when

    #listen() {
        const { node, parts } = this, refresh = () => this.#refresh();
        parts.unit.addEventListener("click", () => {
            node.properties[UNIT] = NEXT[this.#unit];
            this.#paint();
            this.tip.show(parts.unit, [TEXTS.unit(this.#unit)]);
        });
        parts.unit.addEventListener("pointerdown", event => event.stopPropagation());
        parts.unit.addEventListener("keydown", event => {
            if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // the canvas has uses for them
        });
        tells(this.tip, parts.unit, () => [TEXTS.unit(this.#unit)]);
        const from = () => this.#run.title ? TEXTS.run.from(this.#run.title) : "";
        tells(this.tip, parts.foot, () => [parts.foot.textContent, from()].filter(Boolean));
        watch(node, this.streams.map(stream => stream.widget), refresh);
        chain(node, "onConfigure", refresh);
        chain(node, "onConnectionsChange", () => queueMicrotask(refresh)); // the link is not there yet
        keepUp(node, refresh, () => {
            this.asking.stop();
            this.#asked = "";
            this.tip.hide();
            this.menu.close();
        });
    }
}

function build(root, streams) {
    const names = element("div", { className: "names" });
    for (const { name, hue } of streams) {
        const shown = element("span", { textContent: name });
        shown.style.setProperty("--hue", hue);
        names.append(shown);
    }
    const unit = element("button", { className: "unit", type: "button" });
    names.append(unit);
    const ruler = element("div", { className: "ruler", ariaHidden: "true" });
    const guide = element("div", { className: "guide", hidden: true });
    const lanes = element("div", { className: "lanes" }, ruler, guide);
    const foot = element("div", { className: "foot", role: "status", tabIndex: 0 });
    root.prepend(names, lanes, foot);
    return { unit, ruler, guide, lanes, foot };
}

/** What a track shows: the widget's text, as far as it can be read. */
function read(node, stream, clock, unit) {
    const isFixed = isLinked(node, stream.widget);
    const text = isFixed ? setting(node, stream.widget) : valueOf(node, stream.widget);
    const state = { stream, text, isFixed, clock, connected: prompts(node, stream), entries: null, problems: [] };
    if (typeof text !== "string") return { ...state, said: TEXTS.unread(stream.name) };
    try {
        const entries = parse(text);
        const edits = moves(text, entries, clock, unit);
        return { ...state, entries, moves: edits, problems: problems(stream, entries, state.connected) };
    } catch (error) {
        if (!(error instanceof TimelineError)) throw error;
        return { ...state, wrong: error.message };
    }
}

function drawRuler({ ruler, unit: button }, clock, unit) {
    button.textContent = TEXTS.units[unit];
    button.ariaLabel = TEXTS.unit(unit);
    const ticks = element("div", { className: "ticks" });
    const line = "linear-gradient(to right, var(--descrip-text, #999) 1px, transparent 1px)";
    if (clock.steps <= MOST_TICKS) ticks.style.background = `${line} 0 0 / ${100 / clock.steps}% 100%`;
    ruler.replaceChildren(ticks, ...marks(clock, unit).map(({ at, text }) => {
        const mark = element("span", { textContent: text, style: { left: `${100 * at}%` } });
        mark.toggleAttribute("data-end", at > 0.97);
        return mark;
    }));
}
