// The labels of the ruler below the tracks. No DOM.

import { PERCENT, SIGMA, STEP } from "./grammar.mjs";

const APART = 0.085; // minimum distance of two labels, as a share of the ruler's length
const ROUND = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

/** [{ at, text }], with `at` from 0 to 1. */
export function marks(clock, unit) {
    const found = unit === STEP ? stepMarks(clock) : levelMarks(clock, unit);
    const last = found.at(-1), kept = [];
    for (const mark of found) {
        const isApart = !kept.length || (mark.at - kept.at(-1).at >= APART && last.at - mark.at >= APART);
        if (isApart || mark === last) kept.push(mark);
    }
    return kept;
}

function stepMarks({ steps }) {
    const every = ROUND.find(every => every / steps >= APART) ?? steps;
    return Array.from({ length: Math.floor(steps / every) + 1 }, (_, index) => ({
        at: index * every / steps, text: `${index * every}`,
    }));
}

function levelMarks(clock, unit) {
    const first = unit === SIGMA ? clock.sigma(0) : clock.percent(0);
    const found = [{ at: 0, text: short(first, unit) }];
    for (let tenth = 1; tenth <= 10; tenth++) {
        const value = unit === SIGMA ? (10 - tenth) / 10 : tenth * 10;
        if (unit === SIGMA ? value >= first : value <= first) continue;
        found.push({ at: clock.place({ value, unit }) / clock.steps, text: short(value, unit) });
    }
    return found;
}

const short = (value, unit) => unit === PERCENT ? `${Math.round(value)} %` : `${Number(value.toFixed(2))}`;

/** A place in all three units, the ruler's unit first, formatted with `texts`. */
export function inAllUnits(clock, place, unit, texts) {
    const step = Math.ceil(place - 1e-3); // the first step that has reached it
    const values = {
        [STEP]: texts.step(step),
        [PERCENT]: texts.percent(Number(clock.percent(place).toFixed(1))),
        [SIGMA]: texts.sigma(Number(clock.sigma(place).toFixed(3))),
    };
    const { [unit]: main, ...others } = values;
    return [main, Object.values(others).join(" \u00b7 ")];
}
