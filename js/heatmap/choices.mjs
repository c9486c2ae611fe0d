// Which steps and blocks the maps are of: two sliders that edit the node's own widgets, and a button that plays the steps.

import { element } from "../lib/dom.mjs";
import { range } from "../lib/range.mjs";
import { isLinked, setValues, valueOf } from "../lib/widgets.mjs";

const TEXTS = {
    steps: "Steps", blocks: "Blocks", first: "First", last: "Last", play: "Play the steps one by one", stop: "Stop",
    linked: "The value comes from another node.", sigma: "\u03c3", all: "all",
};
const FRAME = 350; // milliseconds of a step while they play
const END = 10000; // the last step of any run, as the node has it

/** Returns { root, show, stop }; `look({ first, last, blocks, head })` is told what is chosen, also while a thumb moves. */
export function choices(node, look) {
    let run = null, timer = 0;
    const steps = range([`${TEXTS.first} step`, `${TEXTS.last} step`], moved, write);
    const blocks = range([`${TEXTS.first} block`, `${TEXTS.last} block`], moved, write);
    const [stepsTold, blocksTold] = [0, 1].map(() => element("output", { className: "value quiet" }));
    const play = element("button", { className: "name" });
    label("\u25b6", TEXTS.play);
    play.addEventListener("click", () => timer ? stop() : begin());
    const row = (head, slider, told) => element("div", { className: "choice" }, head, slider.root, told);
    const root = element("div", {}, row(play, steps, stepsTold),
        row(element("span", { className: "name quiet", textContent: TEXTS.blocks }), blocks, blocksTold));
    let thumbs = { steps: [0, 0], blocks: null }; // indices of the steps seen; null where a list has no two ends

    function show(given) {
        run = given;
        const seen = run.steps, ends = extent(valueOf(node, "blocks"), run.double, run.blocks);
        const first = seen.findIndex(step => step >= valueOf(node, "first_step"));
        const last = seen.findLastIndex(step => step <= valueOf(node, "last_step"));
        thumbs = { steps: [first < 0 ? seen.length - 1 : first, Math.max(0, last)], blocks: ends };
        steps.set(seen.length - 1, thumbs.steps);
        blocks.set(run.blocks - 1, ends ?? [0, run.blocks - 1]);
        steps.disable(isLinked(node, "first_step") || isLinked(node, "last_step") ? TEXTS.linked : "");
        blocks.disable(isLinked(node, "blocks") ? TEXTS.linked : "");
        tell();
    }
    function tell(only = null) {
        const [first, last] = only ?? thumbs.steps;
        const text = thumbs.blocks ? named(thumbs.blocks, run.double, run.blocks) : valueOf(node, "blocks");
        stepsTold.textContent = through(run.steps, first, last) + `, ${TEXTS.sigma} ${through(run.sigmas.map(sigma => sigma.toFixed(2)), first, last)}`;
        blocksTold.textContent = blocksTold.title = text;
        look({ first: run.steps[first], last: run.steps[last], blocks: text, head: valueOf(node, "head") ?? -1 });
    }
    function moved() {
        stop();
        thumbs = { steps: steps.values(), blocks: blocks.touched() ? blocks.values() : thumbs.blocks };
        tell();
    }
    function write() {
        const [first, last] = thumbs.steps, end = run.steps.length - 1;
        const values = { first_step: first ? run.steps[first] : 0, last_step: last === end ? END : run.steps[last] };
        if (thumbs.blocks) values.blocks = named(thumbs.blocks, run.double, run.blocks);
        setValues([node, values]);
    }
    function begin() {
        let at = thumbs.steps[0] - 1;
        const next = () => {
            at = (at + 1) % run.steps.length;
            steps.set(run.steps.length - 1, [at, at]);
            tell([at, at]);
        };
        timer = setInterval(next, FRAME);
        label("\u25a0", TEXTS.stop);
        next();
    }
    function stop() {
        if (!timer) return;
        clearInterval(timer);
        timer = 0;
        label("\u25b6", TEXTS.play);
        steps.set(run.steps.length - 1, thumbs.steps);
        tell();
    }
    function label(sign, words) {
        Object.assign(play, { textContent: `${sign} ${TEXTS.steps}`, title: words });
        play.setAttribute("aria-label", words);
    }
    return { root, show, stop };
}

const through = (list, first, last) => first === last ? `${list[first]}` : `${list[first]}\u2013${list[last]}`;

/** The first and last block of a list that has no gap, else null. */
export function extent(text, double, count) {
    const ends = { all: [0, count - 1], double: [0, double - 1], single: [double, count - 1] };
    const given = String(text).trim().toLowerCase();
    if (given in ends) return ends[given];
    const [, first, dash, last] = given.match(/^(\d+)\s*(-?)\s*(\d*)$/) ?? [];
    if (first === undefined || (last && !dash)) return null;
    const found = [Number(first), dash ? (last ? Number(last) : count - 1) : Number(first)];
    return found[0] <= found[1] && found[1] < count ? found : null;
}

/** The shortest way to write it. */
export function named([first, last], double, count) {
    const words = { all: [0, count - 1], double: [0, double - 1], single: [double, count - 1] };
    const word = Object.keys(words).find(word => words[word][0] === first && words[word][1] === last);
    return word ?? (first === last ? `${first}` : `${first}-${last}`);
}
