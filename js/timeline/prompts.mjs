// The prompts of a timeline: the numbers of sockets, with the texts connected to them, or the texts themselves.

import { setting } from "../lib/runs.mjs";
import { source } from "../lib/walk.mjs";
import { pointText } from "./grammar.mjs";
import { TEXTS } from "./texts.mjs";

const FAR = 20;
const NEARLY_THERE = 1e-3; // steps: a point in percent or sigma this close to a step is on it

/** The prompts connected to a stream's sockets, { number: text }; null for a node whose timeline has the texts. */
export function prompts(node, stream) {
    if (!stream.socket) return null;
    const found = {};
    const name = new RegExp(`(?:^|\\.)${stream.socket}(\\d+)$`);
    for (const input of node.inputs ?? []) {
        const number = input.name.match(name)?.[1];
        if (number && input.link != null) found[number] = wordsOf(node, input.name, stream.type);
    }
    return found;
}

/** The text of the first encode node before an input; else the title of the node linked to it. */
function wordsOf(node, input, type) {
    const first = source(node, input)?.node;
    let at = first;
    for (let hops = 0; at && hops < FAR; hops++) {
        const text = setting(at, "text");
        if (typeof text === "string") return text.trim();
        const passed = at.inputs?.find(input => input.type === type && input.link != null);
        if (!passed) break;
        at = source(at, passed.name)?.node;
    }
    return first?.title ?? "";
}

/** Messages for errors that would stop the run (numbers without a prompt), and for prompts without a segment. */
export function problems(stream, entries, connected) {
    if (!connected || !Object.keys(connected).length) return []; // no messages on a new node
    const messages = [];
    const named = entries.map(entry => entry.text.trim());
    for (const text of new Set(named)) {
        if (!/^\d+$/.test(text)) messages.push(TEXTS.notNumber(stream.name, text));
        else if (!(text in connected)) messages.push(TEXTS.notConnected(stream.name, text));
    }
    for (const number of Object.keys(connected)) {
        if (!named.includes(number)) messages.push(TEXTS.unused(stream.name, number));
    }
    return messages;
}

/** Messages for prompts that act in no step of the clock's run. */
export function idle(stream, entries, clock) {
    const stepOf = point => Math.max(0, Math.ceil(clock.place(point) - NEARLY_THERE));
    const starts = entries.map((entry, at) => at ? stepOf(entry.start) : 0);
    return entries.flatMap((entry, at) => {
        const until = at + 1 < entries.length ? stepOf(entries[at + 1].fade) : clock.steps;
        if (starts[at] < Math.min(until, clock.steps)) return [];
        return [at ? TEXTS.idle(stream.name, pointText(entry.start), clock.steps)
            : TEXTS.idleFirst(stream.name, clock.steps)];
    });
}

/**
 * The prompt of a new segment after this one: an unused one, else the next one that is not that of the segment behind;
 * null if there is none. In a text timeline it is the same text, as written.
 */
export function following({ text, entries, connected }, index) {
    const now = entries[index].text.trim();
    if (!connected) return entries[index].isDrawn ? text.slice(...entries[index].words) : entries[index].text;
    const numbers = Object.keys(connected), behind = entries[index + 1]?.text.trim();
    const named = entries.map(entry => entry.text.trim());
    const others = [...numbers.slice(numbers.indexOf(now) + 1), ...numbers]; // the next ones first
    return numbers.find(number => !named.includes(number)) ?? others.find(each => each !== now && each !== behind) ?? null;
}
