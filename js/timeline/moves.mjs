// Moves by dragging and keys. Each returns the timeline's new text, or null if there is no room. No DOM.

import { removed, retimed, reworded, split } from "./edits.mjs";
import { TimelineError, isSame } from "./grammar.mjs";

const APART = 0.02; // steps between two starts that are not on steps

/** The `entries` that `parse` finds in `text`, with a clock; `unit` is for the first mark of a timeline without marks. */
export function moves(text, entries, clock, unit, parse) {
    const valid = text => isValid(text, parse) ? text : null;
    const units = entries[1]?.start.unit ?? unit;
    const startOf = index => index < 1 ? 0 : index < entries.length ? clock.place(entries[index].start) : clock.steps;
    const fadeOf = index => index < 1 ? 0 : clock.place(entries[index].fade);

    /** The nearest place at which entry `index`, or a new one before it, may start; null if there is none. */
    function free(place, low, next, isFree) {
        const apart = isFree ? APART : 1;
        const most = Math.min(next - apart, clock.steps - apart);
        const [least, last] = isFree ? [low, most] : [Math.ceil(low - 1e-6), Math.floor(most + 1e-6)];
        if (least > last) return null;
        return Math.min(Math.max(isFree ? place : Math.round(place), least), last);
    }
    const after = (index, isFree) => Math.max(startOf(index) + (isFree ? APART : 1), fadeOf(index));

    /** Moves the start of entry `index`, and its fade, near `place`. */
    function move(index, place, isFree = false) {
        const at = free(place, after(index - 1, isFree), startOf(index + 1), isFree);
        if (at === null) return null;
        const length = fadeOf(index) - startOf(index);
        const start = clock.point(at, units, isFree);
        const fade = length > 0 ? fadePoint(start, at + length, index, isFree) : start;
        return valid(retimed(text, entries[index], start, fade));
    }

    /** Moves the end of entry `index`'s fade-in near `place`; at its start, removes the fade. */
    function fade(index, place, isFree = false) {
        const { start } = entries[index];
        if (startOf(index) >= clock.steps) return null;
        return valid(retimed(text, entries[index], start, fadePoint(start, place, index, isFree)));
    }
    function fadePoint(start, place, index, isFree) {
        const from = clock.place(start), most = startOf(index + 1);
        if (place < from + (isFree ? APART : 0.5)) return start;
        // If the fade ends at the next prompt's start, that exact point, which need not be on a step.
        if (index + 1 < entries.length && place >= most - 0.5 && !isFree) return entries[index + 1].start;
        const found = clock.point(Math.min(place, most), units, isFree);
        return clock.place(found) > from ? found : start;
    }

    /** Inserts an entry near `place`, at which entry `index` is active. */
    function cut(index, place, words, isFree = false) {
        const at = free(place, after(index, isFree), startOf(index + 1), isFree);
        return at === null ? null : valid(split(text, entries[index], clock.point(at, units, isFree), words));
    }
    return {
        startOf, fadeOf, move, fade, cut,
        middle: index => (fadeOf(index) + startOf(index + 1)) / 2,
        isFaded: index => index > 0 && !isSame(entries[index].start, entries[index].fade),
        remove: index => entries.length > 1 ? valid(removed(text, entries, index)) : null,
        name: (index, words) => valid(reworded(text, entries[index], words)),
    };
}

/** Whether a text can be parsed: after rounding, two times may be equal. */
function isValid(text, parse) {
    try {
        parse(text);
        return true;
    } catch (error) {
        if (error instanceof TimelineError) return false;
        throw error;
    }
}
