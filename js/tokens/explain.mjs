// The panel's texts for a reading: its header and the tooltips of the chips. No DOM.

import { FIRST, lostFrom, short, stretches } from "./flow.mjs";
import { TEXTS } from "./texts.mjs";

const MOST = 300; // characters of a note
const T5_PAD = 0;

/** A chip's tooltip: the token, and the reason if it has no effect. */
export function explainItem(item, reading) {
    const side = reading.road === "CLIP" ? "clip" : "t5";
    if (item.at < 0) {
        const text = TEXTS.marks[item.kind];
        return [(text[side] ?? text)()];
    }
    const { ids, weights, unknown, limit } = reading;
    const lines = [`${item.kind === "token" ? item.text : shownAs(item)}  \u00b7  ${TEXTS.token(ids[item.at])}`];
    if (item.cut) lines.push(TEXTS.lost[side](side === "clip" ? limit : limit + 1));
    if (item.kind === "space") lines.push(TEXTS.space());
    if (item.kind === "part") lines.push(TEXTS.part());
    if (unknown.includes(item.at)) lines.push(TEXTS.unknown());
    if (side === "t5" && ids[item.at] === T5_PAD) lines.push(TEXTS.pad());
    const weight = weights[item.at];
    if (weight !== 1) lines.push(TEXTS.weight(short(weight)));
    return lines;
}

const shownAs = item => (item.kind === "weight" ? "" : item.text).trim();

/** A chip's tint in percent: 34 at weight 1, more above, none at 0. */
export function strength(item, reading) {
    const weight = reading.weights[item.at] ?? 1; // marks have none
    const away = weight < 1 ? 34 * Math.max(0, weight) : 34 + 60 * (weight - 1);
    return Math.round(Math.min(85, away));
}

/** The header: { count, pads, cut, share }; `share` is the used part of the limit. */
export function headline(reading, { past, sent: { choices } }) {
    const isClip = reading.road === "CLIP";
    const cut = reading.count - lostFrom(reading, past);
    const parts = stretches(reading, past);
    const extra = isClip ? 0 : 1; // T5's count includes the end token
    const limit = reading.limit === null ? null : reading.limit + extra;
    const [from, to] = parts.at(-1);
    const pads = isClip ? limit - (to - from) : reading.pads;
    return {
        count: (choices.length ? TEXTS.about : "") + TEXTS.of(reading.count + extra, limit === null ? null : limit * (isClip ? parts.length : 1)),
        pads: parts.length > 1 ? TEXTS.chunks(parts.length) : pads ? TEXTS.pads(pads) : "",
        cut: cut ? TEXTS.cut(cut) : "",
        share: limit === null ? null : Math.min(1, (reading.count + extra) / (limit * parts.length)),
    };
}

/** The header's tooltip: what is counted, assumptions, notes. */
export function explainCount(prompt, reading, notes) {
    const lines = [];
    if (reading.road === "CLIP") {
        const chunks = stretches(reading, prompt.past).length;
        lines.push(chunks > 1 ? TEXTS.chunkCount(reading.count, chunks, reading.limit)
            : TEXTS.clipCount(reading.read, reading.limit));
        if (chunks > 1 && prompt.past !== FIRST) lines.push(TEXTS[prompt.past]?.() ?? "");
        const { seen, file } = prompt.encoder;
        lines.push(TEXTS.positions[seen](file));
    } else {
        lines.push(TEXTS.t5Count(reading.read, reading.pads), TEXTS.t5Length(prompt.length));
    }
    if (prompt.unknown.length) lines.push(TEXTS.fromLink(prompt.unknown.join(", ")));
    const { comments, choices } = prompt.sent;
    if (choices.length) lines.push(TEXTS.choices());
    if (comments.some(({ isAddress }) => !isAddress)) lines.push(TEXTS.comments());
    if (prompt.request.text.split("embedding:").length - 1 > reading.ignored.length) lines.push(TEXTS.embedding());
    return [...lines, ...warnings(prompt, reading, notes)].filter(Boolean);
}

/** Notes on doubtful weights, missing textual inversions, and addresses that are taken for comments. */
export function warnings(prompt, reading, notes) {
    const ignored = reading.ignored.map(([from, to]) => prompt.request.text.slice(from, to));
    const names = new Set(ignored.map(name => name.replace("embedding:", "")));
    const more = notes.filter(note => !reading.notes.includes(note)); // the chips already show cut off and unknown text
    const addresses = prompt.sent.comments.filter(({ isAddress }) => isAddress);
    return [...addresses.map(({ text }) => TEXTS.address(text)), ...[...names].map(TEXTS.ignored), ...more]
        .map(shortened);
}

function shortened(note) {
    const signs = [...note];
    return signs.length > MOST ? `${signs.slice(0, MOST).join("")} ...` : note;
}
