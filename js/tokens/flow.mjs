// An encoder's reading of a prompt as the panel's items: tokens, and marks between them, in rows. No DOM.

import { TEXTS } from "./texts.mjs";

export const FIRST = "first"; // past_75: the other values keep more than CLIP-L's first chunk
const T5_SPACE = 3; // the token of a space alone
const GAP = 4; // between words
const MOST = 40; // characters of a comment

/**
 * The items of a reading, each { kind, text, at, glued, cut }: `at` is its token's index, -1 for a mark; `glued` items
 * have no gap before them, like the pieces of a word. `sent` is what the text was made from, by lib/sent.mjs.
 */
export function flow({ text, comments, choices }, reading, past) {
    const isClip = reading.road === "CLIP";
    const items = [], parts = stretches(reading, past), read = lostFrom(reading, past);
    const extra = [ // the remaining ones
        ...reading.ignored.map(([start, end]) => ({ place: start, item: struck("ignored", text.slice(start, end)) })),
        ...comments.map(({ place, text }) => ({ place, item: struck("comment", shortened(text)) })),
        ...choices.map(({ place, count }) => ({ place, item: mark("choice", TEXTS.choice(count)) })),
    ].sort((one, other) => one.place - other.place);
    for (const [index, [from, to]] of parts.entries()) {
        if (index) items.push(mark("chunk", TEXTS.chunk(index + 1)));
        if (isClip) items.push(mark("start", TEXTS.start()));
        addTokens(items, text, reading, from, to, false, extra);
        if (index + 1 === parts.length && read === reading.count) addExtra(items, extra);
        items.push(mark("end", TEXTS.end()));
        const pads = isClip ? reading.limit - (to - from) : reading.pads;
        if (pads) items.push(mark("pads", TEXTS.pads(pads)));
    }
    if (read < reading.count) {
        items.push(mark("cut", TEXTS.cutHere()));
        addTokens(items, text, reading, read, reading.count, true, extra);
        addExtra(items, extra);
    }
    return items;
}

/** The index of the first token that is cut off. */
export function lostFrom(reading, past) {
    return reading.road === "CLIP" && past !== FIRST ? reading.count : reading.read;
}

/** Ranges of tokens [from, to) that are encoded together: CLIP-L's chunks, or all tokens. */
export function stretches(reading, past) {
    if (reading.road !== "CLIP" || past === FIRST) return [[0, reading.read]];
    const { chunks, count } = reading;
    const borders = [0];
    for (let at = 1; at < count; at++) if (chunks[at] !== chunks[at - 1]) borders.push(at);
    return borders.map((from, index) => [from, borders[index + 1] ?? count]);
}

function mark(kind, text) {
    return { kind, text, at: -1, glued: false, cut: false };
}

const struck = (kind, text) => ({ ...mark(kind, text), cut: true });
const shortened = text => text.length > MOST ? `${text.slice(0, MOST)} ...` : text;

/** What is no token, up to an offset in the text: comments, choices, missing textual inversions. */
function addExtra(items, extra, place = Infinity) {
    while (extra.length && extra[0].place <= place) items.push(extra.shift().item);
}

function addTokens(items, text, { road, ids, starts, ends, weights }, from, to, cut, extra) {
    for (let at = from; at < to; at++) {
        addExtra(items, extra, starts[at]);
        const glued = at > from && starts[at] <= ends[at - 1];
        let shown = text.slice(starts[at], ends[at]);
        let kind = "token";
        if (road === "T5" && ids[at] === T5_SPACE) [kind, shown] = ["space", "\u2581"];
        else if (glued && ends[at] === ends[at - 1] && starts[at] === starts[at - 1] && !isSpace(items)) {
            [kind, shown] = ["part", "\u00b7"];
        }
        items.push({ kind, text: shown, at, glued, cut });
        const weight = weights[at];
        if (weight !== 1 && (at + 1 === to || weights[at + 1] !== weight)) {
            items.push({ kind: "weight", text: short(weight), at, glued: true, cut });
        }
    }
}

const isSpace = items => items.at(-1)?.kind === "space";

/** A weight with at most two decimals. */
export const short = weight => String(Math.round(weight * 100) / 100);

/**
 * The index of each row's first item, for rows of `room` pixels. `widthOf(item)` is an item's width.
 *
 * A word is broken only if it is longer than a row.
 */
export function rowsOf(items, room, widthOf) {
    const rows = [0];
    let x = 0;
    for (let from = 0, to; from < items.length; from = to) {
        let word = widthOf(items[from]);
        for (to = from + 1; to < items.length && items[to].glued; to++) word += widthOf(items[to]);
        if (x > 0 && x + GAP + word > room) {
            rows.push(from);
            x = 0;
        }
        if (word <= room) {
            x += (x > 0 ? GAP : 0) + word;
            continue;
        }
        for (let at = from; at < to; at++) {
            const width = widthOf(items[at]);
            if (x > 0 && x + width > room) {
                rows.push(at);
                x = 0;
            }
            x += width;
        }
    }
    return rows;
}
