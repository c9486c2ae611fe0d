// The timeline on a node: two tracks, a ruler, and a line that names the run.

import { post, requester } from "../lib/requests.mjs";
import { element } from "../lib/dom.mjs";
import { chain, keepUp } from "../lib/life.mjs";
import { menu } from "../lib/menu.mjs";
import { panel } from "../lib/panel.mjs";
import { setting } from "../lib/runs.mjs";
import { addTip, tip } from "../lib/tip.mjs";
import { isLinked, setValues, valueOf, watch } from "../lib/widgets.mjs";
import { clock, even } from "./clock.mjs";
import { PERCENT, SIGMA, STEP, TimelineError, parse } from "./grammar.mjs";
import { moves } from "./moves.mjs";
import { idle, problems, prompts } from "./prompts.mjs";
import { inAllUnits, marks } from "./ruler.mjs";
import { ASSUMED, runOf } from "./run.mjs";
import { parseSent } from "./sent.mjs";
import { HEIGHT, STYLE } from "./style.mjs";
import { TEXTS } from "./texts.mjs";
import { Track } from "./track.mjs";

const NEXT = { [STEP]: PERCENT, [PERCENT]: SIGMA, [SIGMA]: STEP };
const MOST_TICKS = 60;
const UNIT = "flux_duet_unit"; // in the node's properties

/** Adds to a node the timelines of `streams`, each { name, hue, type, widget, socket }; no `socket` for texts. */
export class Timeline {
    #run = { plan: ASSUMED, description: [], title: null, isKnown: false };
    #clock = clock(even(ASSUMED.steps, ASSUMED.shift), ASSUMED.shift);
    #requested = ""; // the plan whose schedule was requested, as JSON
    #offline = "";
    #states = [];

    constructor(node, streams) {
        this.node = node;
        this.streams = streams;
        const { root } = panel(node, "timeline", { css: STYLE, height: HEIGHT, before: streams[0].widget });
        this.parts = build(root, streams);
        this.tip = tip(root, root);
        this.menu = menu(root);
        this.tracks = streams.map(stream => new Track(this, stream));
        this.parts.lanes.prepend(...this.tracks.map(track => track.root));
        this.requests = requester(
            (plan, signal) => post("/flux_duet/sigmas", plan, signal),
            ({ sigmas }, { shift }) => this.#keepTime(sigmas, shift),
            error => this.#goOn(error),
        );
        this.#listen();
        this.#paint();
    }

    // ---- called by the tracks

    write(stream, text) {
        setValues([this.node, { [stream.widget]: text }]);
    }

    /** Shows a line across the tracks at a place in steps; null hides it. */
    guide(place) {
        this.parts.guide.hidden = place === null;
        this.parts.guide.style.left = `${100 * (place ?? 0) / this.#clock.steps}%`;
    }

    /** Moves the focus to a segment; past a track's end, to the other track. */
    go(stream, index) {
        const at = this.streams.indexOf(stream), count = this.#states[at].entries.length;
        const to = at + (index < 0 ? -1 : index >= count ? 1 : 0);
        if (to === at) this.tracks[at].focus(index);
        else this.tracks[to]?.focus(index < 0 ? Infinity : 0);
    }

    /** A place as text, in all units. */
    explain(place) {
        return inAllUnits(this.#clock, place, this.#unit, TEXTS);
    }

    // ---- display

    get #unit() {
        const chosen = this.node.properties[UNIT];
        return chosen in NEXT ? chosen : STEP;
    }

    #refresh() {
        if (!this.node.graph || this.tracks.some(track => track.isBusy)) return;
        this.#run = runOf(this.node);
        const wanted = JSON.stringify(this.#run.plan);
        if (wanted !== this.#requested) this.requests.want(this.#run.plan);
        this.#requested = wanted;
        this.#paint();
    }

    #keepTime(sigmas, shift, offline = "") {
        this.#offline = offline;
        this.#clock = clock(sigmas, shift);
        this.#paint();
    }

    /** Shows an estimated schedule if the server cannot be reached. */
    #goOn(error) {
        this.#requested = ""; // requested again when something changes
        const { steps, shift } = this.#run.plan;
        this.#keepTime(even(steps, shift), shift, TEXTS.run.offline(error.message));
    }

    #paint() {
        const explain = place => this.explain(place);
        this.#states = this.streams.map(stream => ({ ...this.#read(stream), explain }));
        this.#states.forEach((state, at) => this.tracks[at].show(state));
        drawRuler(this.parts, this.#clock, this.#unit);
        const wrong = this.#states.flatMap(state => state.problems);
        const run = [...this.#run.description, this.#offline].filter(Boolean).join(" \u00b7 ");
        this.parts.foot.textContent = wrong.length ? wrong.join(" ") : run;
        this.parts.foot.toggleAttribute("data-wrong", wrong.length > 0);
    }

    #read(stream) {
        const state = read(this.node, stream, this.#clock, this.#unit);
        if (state.entries && this.#run.isKnown) state.problems.push(...idle(stream, state.entries, this.#clock));
        return state;
    }

    // ---- events

    #listen() {
        const { node, parts } = this, refresh = () => this.#refresh();
        parts.unit.addEventListener("click", () => {
            node.properties[UNIT] = NEXT[this.#unit];
            this.#paint();
            this.tip.show(parts.unit, [TEXTS.unit[this.#unit]()]);
        });
        parts.unit.addEventListener("pointerdown", event => event.stopPropagation());
        parts.unit.addEventListener("keydown", event => {
            if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // the canvas uses them
        });
        addTip(this.tip, parts.unit, () => [TEXTS.unit[this.#unit]()]);
        const from = () => this.#run.title ? TEXTS.run.from(this.#run.title) : "";
        addTip(this.tip, parts.foot, () => [parts.foot.textContent, from()].filter(Boolean));
        watch(node, this.streams.map(stream => stream.widget), refresh);
        chain(node, "onConfigure", refresh);
        chain(node, "onConnectionsChange", () => queueMicrotask(refresh)); // the link is added after the event
        keepUp(node, refresh, () => {
            this.requests.stop();
            this.#requested = "";
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

/** A track's state: the widget's text, and its entries if it can be parsed. */
function read(node, stream, clock, unit) {
    const isFixed = isLinked(node, stream.widget);
    const text = isFixed ? setting(node, stream.widget) : valueOf(node, stream.widget);
    const isDynamic = node.widgets.find(({ name }) => name === stream.widget).dynamicPrompts && !isFixed;
    const state = { stream, text, isFixed, clock, connected: prompts(node, stream), entries: null, problems: [],
        parse: isDynamic ? parseSent : parse };
    if (typeof text !== "string") return { ...state, unread: TEXTS.unread(stream.name) };
    try {
        const entries = state.parse(text);
        const edits = moves(text, entries, clock, unit, state.parse);
        return { ...state, entries, moves: edits, problems: problems(stream, entries, state.connected) };
    } catch (error) {
        if (!(error instanceof TimelineError)) throw error;
        return { ...state, wrong: error.message };
    }
}

function drawRuler({ ruler, unit: button }, clock, unit) {
    button.textContent = TEXTS.units[unit]();
    button.ariaLabel = TEXTS.unit[unit]();
    const ticks = element("div", { className: "ticks" });
    const line = "linear-gradient(to right, var(--descrip-text, #999) 1px, transparent 1px)";
    if (clock.steps <= MOST_TICKS) ticks.style.background = `${line} 0 0 / ${100 / clock.steps}% 100%`;
    ruler.replaceChildren(ticks, ...marks(clock, unit).map(({ at, text }) => {
        const mark = element("span", { textContent: text, style: { left: `${100 * at}%` } });
        mark.toggleAttribute("data-end", at > 0.97);
        return mark;
    }));
}
