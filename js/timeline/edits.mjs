// Edits of a timeline's text. Each changes the part that is meant, and leaves every other character as it was written.

import { between, escaped, timeText } from "./grammar.mjs";

/** The entry starts at another time, and is all there at `fade`. */
export function retimed(text, entry, start, fade) {
    return replaced(text, entry.time, timeText(start, fade));
}

/** The entry plays other words. */
export function reworded(text, entry, words) {
    const [from] = entry.words;
    if (!entry.isMarked) return replaced(text, entry.words, words);
    // Apart from the time, which would be read on otherwise: a mark may stand alone.
    const before = text.slice(entry.time[1], from), apart = between(words);
    const isApart = apart === " " ? before : before.includes(apart);
    return replaced(text, entry.words, (isApart ? "" : apart) + words);
}

/** A new entry after this one, from `start` on. */
export function split(text, entry, start, words) {
    const end = Math.max(entry.words[1], entry.mark[1]);
    return replaced(text, [end, end], `\n@${timeText(start, start)}${between(words)}${escaped(words)}`);
}

/** Without one entry; the one before it plays on. If it is the first, the next one starts with the run. */
export function removed(text, entries, index) {
    const [from, to] = entries[index].lines;
    if (index > 0) return replaced(text, [from - 1, to], ""); // with the line's end before it
    const next = entries[1];
    const left = text.slice(next.mark[1]);
    if (!next.text) return `${text.slice(0, from)}@0 ${left}`; // an empty prompt is seen by its mark alone
    return text.slice(0, from) + left.replace(/^@/, "\\@"); // words of it, and no mark
}

function replaced(text, [from, to], by) {
    return text.slice(0, from) + by + text.slice(to);
}
