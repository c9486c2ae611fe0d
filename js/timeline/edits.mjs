// Edits of a timeline's text. Each changes only the part that it is for, and keeps all other characters.

import { between, escaped, timeText } from "./grammar.mjs";

/** Sets an entry's start and the end of its fade-in. */
export function retimed(text, entry, start, fade) {
    return replaced(text, entry.time, timeText(start, fade));
}

/** Replaces an entry's text. */
export function reworded(text, entry, words) {
    const [from] = entry.words;
    if (!entry.isMarked) return replaced(text, entry.words, words);
    // Separated from the time, so that it is not parsed as part of it: a mark may have no text.
    const before = text.slice(entry.time[1], from), apart = between(words);
    const isApart = apart === " " ? before : before.includes(apart);
    return replaced(text, entry.words, (isApart ? "" : apart) + words);
}

/** Inserts an entry after this one, with its start. */
export function split(text, entry, start, words) {
    const end = Math.max(entry.words[1], entry.mark[1]);
    return replaced(text, [end, end], `\n@${timeText(start, start)}${between(words)}${escaped(words)}`);
}

/** Removes an entry; the one before it stays active. If it was the first, the next one starts with the run. */
export function removed(text, entries, index) {
    const [from, to] = entries[index].lines;
    if (index > 0) return replaced(text, [from - 1, to], ""); // with the newline before it
    const next = entries[1];
    const left = text.slice(next.mark[1]);
    if (!next.text) return `${text.slice(0, from)}@0 ${left}`; // an empty prompt needs its mark
    return text.slice(0, from) + left.replace(/^@/, "\\@"); // text, not a mark
}

function replaced(text, [from, to], by) {
    return text.slice(0, from) + by + text.slice(to);
}
