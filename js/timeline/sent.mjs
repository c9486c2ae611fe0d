// The entries of a timeline as it is sent: without comments, and with one option of each {a|b}. The offsets are those
// in the text as written, so that edits change that.

import { given, sent } from "../lib/sent.mjs";
import { parse } from "./grammar.mjs";

const RANGES = ["lines", "mark", "time", "words"];

/** `parse` for a box with dynamic prompts. An entry with a choice also `isDrawn`. */
export function parseSent(text) {
    const out = sent(text);
    return parse(out.text).map(entry => {
        const placed = { ...entry };
        for (const name of RANGES) if (entry[name]) placed[name] = given(out, entry[name]);
        placed.lines[1] = out.at[entry.lines[1]]; // with a comment at the line's end
        const [from, to] = entry.lines;
        placed.isDrawn = out.choices.some(({ place }) => place >= from && place <= to);
        return placed;
    });
}
