// Parses a timeline's text as nodes/condition/time/timeline.py does, with the offsets of each part, so that an edit
// changes only that part.

import { TEXTS } from "./texts.mjs";

export const [STEP, PERCENT, SIGMA] = ["step", "percent", "sigma"];
const MARK = /^([ \t]*@[ \t]*)(\S.*)$/s;
const POINT = "(s[0-9]+(?:\\.[0-9]+)?|[0-9]+(?:\\.[0-9]+)?(?:[ \\t]*%)?)";
const TIMES = new RegExp(`^(${POINT}(?:[ \\t]*\\.\\.[ \\t]*${POINT})?)(?!\\S)([ \\t]*)(.*)$`, "s");
const DOTS = /^\.\.(?!\.)[ \t]*\S*/;
const TIME = /^\s*(s?)([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*$/;
const START = { value: 0, unit: PERCENT };

/** An error in a timeline, with a message for the user. */
export class TimelineError extends Error {}

/** `8`, `40%`, `40 %` or `s0.7` as { value, unit }. */
export function parsePoint(text) {
    const [, sigma, number, percent] = text.match(TIME) ?? [];
    if (number === undefined || (sigma && percent)) throw new TimelineError(TEXTS.badTime(text));
    const value = Number(number), unit = sigma ? SIGMA : percent ? PERCENT : STEP;
    if (unit === PERCENT && value > 100) throw new TimelineError(TEXTS.pastAll(text));
    if (unit === STEP && !Number.isInteger(value)) throw new TimelineError(TEXTS.partStep(text));
    return { value, unit };
}

/** A point as text. */
export function pointText({ value, unit }) {
    return unit === SIGMA ? `s${value}` : unit === PERCENT ? `${value}%` : `${value}`;
}

/** The text of a prompt's start and the end of its fade-in. */
export function timeText(start, fade) {
    return isSame(start, fade) ? pointText(start) : `${pointText(start)}..${pointText(fade)}`;
}

export const isSame = (one, other) => one.value === other.value && one.unit === other.unit;

/**
 * The entries of a timeline, as { text, start, fade, isMarked, lines, mark, time, words }.
 *
 * The last four are offsets [from, to) in the text: its lines without the last newline, its mark with the spaces around
 * it, the time in the mark, and the prompt's text without surrounding space. Throws TimelineError.
 */
export function parse(text) {
    const entries = [];
    let entry = opened(0, START, START), at = 0;
    for (const line of text.split("\n")) {
        const found = line.match(MARK);
        if (found) {
            if (entry.isMarked || entry.texts.join("").trim()) entries.push(closed(entry, text, at - 1));
            const [, before, behind] = found;
            const { time, after, rest, start, fade } = parseTimes(behind);
            const from = at + before.length, to = from + time.length;
            entry = opened(at, start, fade);
            const mark = [at, to + after.length];
            Object.assign(entry, { isMarked: true, mark, time: [from, to], texts: [plain(rest)] });
        } else {
            entry.texts.push(plain(line));
        }
        at += line.length + 1;
    }
    entries.push(closed(entry, text, at - 1));
    return checked(entries);
}

function opened(at, start, fade) {
    return { start, fade, isMarked: false, lines: [at, at], mark: [at, at], time: null, texts: [] };
}

function closed({ texts, ...entry }, text, end) {
    const all = texts.join("\n");
    const from = entry.mark[1], raw = text.slice(from, end);
    const words = [from + raw.length - raw.trimStart().length, from + raw.trimEnd().length];
    if (words[0] > words[1]) words[0] = words[1] = from;
    const isWhole = !entry.isMarked && end === text.length; // no marks: the text unchanged
    return { ...entry, text: isWhole ? all : all.trim(), lines: [entry.lines[0], end], words };
}

/** A line without the backslash that escapes its @. */
const plain = line => line.replace(/^([ \t]*)\\(\\*@)/, "$1$2");

/** The inverse: escapes an @ at the beginning of a line. */
export const escaped = words => words.replace(/^([ \t]*)(\\*@)/gm, "$1\\$2");

/** The space between a time and a text: a newline if the text would be parsed as part of the time. */
export const between = words => /^(%|\.\.)/.test(words) ? "\n" : " ";

/** The text after an @: { time, after, rest } as written, and the prompt's start and the end of its fade-in. */
function parseTimes(text) {
    const found = text.match(TIMES);
    if (!found) {
        const [word] = text.match(/^\S+/);
        throw new TimelineError(TEXTS.badTime(word) + (/^s?[0-9]/.test(word) ? "" : ` ${TEXTS.plainAt(word)}`));
    }
    const [, time, first, last, after, rest] = found, start = parsePoint(first);
    const dots = rest.match(DOTS);
    if (dots) throw new TimelineError(TEXTS.badDots(time + after + dots[0]));
    return { time, after, rest, start, fade: last === undefined ? start : parsePoint(last) };
}

function checked(entries) {
    const [first, ...later] = entries;
    if (!isAtStart(first.start) || !isSame(first.start, first.fade)) {
        throw new TimelineError(TEXTS.lateStart(timeText(first.start, first.fade)));
    }
    if (later.some(entry => isAtStart(entry.start))) throw new TimelineError(TEXTS.earlySecond());
    const points = later.flatMap(({ start, fade }) => isSame(start, fade) ? [start] : [start, fade]);
    const units = [...new Set(points.map(point => point.unit))].sort();
    if (units.length > 1) throw new TimelineError(TEXTS.mixed(units));
    for (let at = 1; at < points.length; at++) {
        const [one, next] = [points[at - 1], points[at]];
        const isBack = one.unit === SIGMA ? next.value > one.value : next.value < one.value;
        const starting = later.filter(entry => isSame(entry.start, one)).length;
        if (isBack || (isSame(one, next) && starting > 1)) {
            throw new TimelineError(TEXTS.order(pointText(next), pointText(one)));
        }
    }
    Object.assign(first, { start: START, fade: START });
    return entries;
}

/** Whether a point is at or before the start of any run. */
export const isAtStart = ({ value, unit }) => unit === SIGMA ? value >= 1 : value === 0;
