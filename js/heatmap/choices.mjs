// The choice of steps and blocks: two sliders that edit the node's widgets, and a button that plays the steps.

import { read, written } from "../blocks/list.mjs";
import { element } from "../lib/dom.mjs";
import { range } from "../lib/range.mjs";
import { isLinked, setValues, valueOf } from "../lib/widgets.mjs";
import { t } from "../lib/words.mjs";

const TEXTS = {
    steps: () => t("Steps"), blocks: () => t("Blocks"),
    firstStep: () => t("First step"), lastStep: () => t("Last step"),
    firstBlock: () => t("First block"), lastBlock: () => t("Last block"),
    play: () => t("Play the steps one by one"), stop: () => t("Stop"),
    linked: () => t("The value comes from another node."), sigma: "\u03c3",
};
const FRAME = 350; // milliseconds per step during playback
const END = 10000; // the node's default for the last step

/** `look({ first, last, blocks, head, refine })` is called with the choice, also while a thumb moves or the steps play. */
export class Choices {
    #run = null;
    #timer = 0;
    #thumbs = { steps: [0, 0], blocks: null }; // indices of recorded steps; null if the list of blocks is no range
    #steps = range([TEXTS.firstStep(), TEXTS.lastStep()], () => this.#moved(), () => this.#write());
    #blocks = range([TEXTS.firstBlock(), TEXTS.lastBlock()], () => this.#moved(), () => this.#write());
    #stepsTold = element("output", { className: "value quiet" });
    #blocksTold = element("output", { className: "value quiet" });
    #play = element("button", { className: "name" });

    constructor(node, look) {
        this.node = node;
        this.look = look;
        this.#label("\u25b6", TEXTS.play());
        this.#play.addEventListener("click", () => this.#timer ? this.stop() : this.#begin());
        const row = (head, slider, text) => element("div", { className: "choice" }, head, slider.root, text);
        const title = element("span", { className: "name quiet", textContent: TEXTS.blocks() });
        const steps = row(this.#play, this.#steps, this.#stepsTold), blocks = row(title, this.#blocks, this.#blocksTold);
        const hasSteps = valueOf(node, "first_step") !== undefined; // Heatmap of a Picture has none to choose
        this.root = element("div", {}, ...(hasSteps ? [steps, blocks] : [blocks]));
    }

    /** Sets the run, and shows the widgets' choice. */
    show(run) {
        this.#run = run;
        const value = name => valueOf(this.node, name), why = linked => linked ? TEXTS.linked() : "";
        const first = run.steps.findIndex(step => step >= value("first_step"));
        const last = run.steps.findLastIndex(step => step <= value("last_step"));
        this.#thumbs = {
            steps: [first < 0 ? run.steps.length - 1 : first, Math.max(0, last)],
            blocks: extent(this.#list(), depthOf(run)),
        };
        this.#steps.set(run.steps.length - 1, this.#thumbs.steps);
        this.#blocks.set(run.blocks - 1, this.#thumbs.blocks ?? [0, run.blocks - 1]);
        this.#steps.disable(why(isLinked(this.node, "first_step") || isLinked(this.node, "last_step")));
        this.#blocks.disable(why(isLinked(this.node, "blocks")));
        this.#tell();
    }

    /** The widget's list of blocks; that of the run if it is empty. */
    #list() {
        return String(valueOf(this.node, "blocks")).trim() || (this.#run.chosen ?? "");
    }

    /** Stops playback. */
    stop() {
        if (!this.#timer) return;
        clearInterval(this.#timer);
        this.#timer = 0;
        this.#label("\u25b6", TEXTS.play());
        this.#steps.set(this.#run.steps.length - 1, this.#thumbs.steps);
        this.#tell();
    }

    #begin() {
        const count = this.#run.steps.length;
        let at = this.#thumbs.steps[0] - 1;
        const next = () => {
            at = (at + 1) % count;
            this.#steps.set(count - 1, [at, at]);
            this.#tell([at, at]);
        };
        this.#timer = setInterval(next, FRAME);
        this.#label("\u25a0", TEXTS.stop());
        next();
    }

    #moved() {
        this.stop();
        const blocks = this.#blocks.touched() ? this.#blocks.values() : this.#thumbs.blocks;
        this.#thumbs = { steps: this.#steps.values(), blocks };
        this.#tell();
    }

    #write() {
        const { steps } = this.#run, [first, last] = this.#thumbs.steps;
        const ends = { first_step: first ? steps[first] : 0, last_step: last === steps.length - 1 ? END : steps[last] };
        const list = this.#thumbs.blocks && { blocks: named(this.#thumbs.blocks, depthOf(this.#run)) };
        setValues([this.node, { ...ends, ...list }]);
    }

    #tell([first, last] = this.#thumbs.steps) {
        const { steps, sigmas } = this.#run;
        const list = this.#thumbs.blocks ? named(this.#thumbs.blocks, depthOf(this.#run)) : this.#list();
        const levels = sigmas.map(sigma => sigma.toFixed(2));
        this.#stepsTold.textContent = `${through(steps, first, last)}, ${TEXTS.sigma} ${through(levels, first, last)}`;
        this.#blocksTold.textContent = this.#blocksTold.title = list;
        this.look({ first: steps[first], last: steps[last], blocks: list, head: valueOf(this.node, "head") ?? -1,
            refine: valueOf(this.node, "refine") ?? "off" });
    }

    #label(sign, words) {
        Object.assign(this.#play, { textContent: `${sign} ${TEXTS.steps()}`, title: words });
        this.#play.setAttribute("aria-label", words);
    }
}

const through = (list, first, last) => first === last ? `${list[first]}` : `${list[first]}\u2013${list[last]}`;

/** The first and last block of a list without gaps; else null. */
function extent(text, depth) {
    const { blocks, beyond } = read(String(text), depth, {}), numbers = [...blocks].sort((one, other) => one - other);
    const [first, last] = [numbers[0], numbers.at(-1)];
    return numbers.length && !beyond.length && last - first === numbers.length - 1 ? [first, last] : null;
}

/** The shortest text for a range of blocks. */
function named([first, last], depth) {
    const blocks = new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index));
    return written({ blocks, final: false, beyond: [] }, depth, false);
}

const depthOf = ({ double, blocks }) => ({ double, single: blocks - double });
