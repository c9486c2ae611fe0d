// Parses a list of blocks as nodes/condition/blocks.py does, and writes the shortest one. No DOM. tests/blocks.json has
// the cases for both.

import { TEXTS } from "./texts.mjs";

const NUMBERS = /^([0-9]+)(?:-([0-9]*))?$/;
const MOST_DIGITS = 4; // of a block's number; no model has more blocks
const WORDS = ["double", "single", "final", "all", "none"];

/**
 * Parses a list for a model with these numbers of blocks: { blocks, final, beyond, wrong }.
 *
 * `blocks` is a set of numbers, `beyond` the words with blocks that the model does not have, `wrong` an error message
 * or "". `hasFinal` is whether `all` includes the last layer.
 */
export function read(text, { double, single }, presets, hasFinal = true) {
    const list = presets[text.trim()] ?? text;
    const words = list.split(/[,\s]+/).filter(Boolean).map(word => word.toLowerCase());
    const depth = double + single, blocks = new Set(), beyond = [];
    const wrong = words.map(problem).find(Boolean);
    if (wrong) return { blocks, final: false, beyond, wrong };
    for (const word of words) {
        const [first, last] = ends(word, double, depth);
        for (let number = first; number <= Math.min(last, depth - 1); number++) blocks.add(number);
        if (last >= first && last >= depth) beyond.push(word);
    }
    const final = words.includes("final") || (hasFinal && words.includes("all"));
    return { blocks, final, beyond, wrong: "" };
}

/** The error message for a word; "" for a valid one. */
function problem(word) {
    if (WORDS.includes(word)) return "";
    const [all, first, last] = word.match(NUMBERS) ?? [];
    if (!all) return TEXTS.badWord(word);
    if (Math.max(first.length, last?.length ?? 0) > MOST_DIGITS) return TEXTS.tooLarge(word);
    return last && Number(last) < Number(first) ? TEXTS.backwards(first, last) : "";
}

/** The first and last number of a word; the last is less than the first for a word without blocks. */
function ends(word, double, depth) {
    const named = { none: [0, -1], final: [0, -1], all: [0, depth - 1], double: [0, double - 1] }[word];
    if (named) return named;
    if (word === "single") return [double, depth - 1];
    const [, first, last] = word.match(NUMBERS);
    if (last === undefined) return [Number(first), Number(first)];
    return [Number(first), last ? Number(last) : Math.max(depth - 1, Number(first))];
}

/** The shortest list of these blocks; the words `beyond` are kept. */
export function written({ blocks, final, beyond }, { double, single }, hasFinal) {
    const depth = double + single, numbers = [...blocks].sort((one, other) => one - other);
    if (numbers.length === depth && (final || !hasFinal) && !beyond.length) return "all";
    const plain = ranges(numbers, depth);
    const byKind = [
        ...kind("double", numbers.filter(number => number < double), double, depth),
        ...kind("single", numbers.filter(number => number >= double), single, depth),
    ];
    const isNamed = byKind.some(word => WORDS.includes(word)) && byKind.length <= plain.length;
    const words = [...(isNamed || numbers.length === depth ? byKind : plain), ...beyond, ...(final ? ["final"] : [])];
    return words.join(", ") || "none";
}

const kind = (word, numbers, count, depth) => numbers.length === count ? [word] : ranges(numbers, depth);

/** `28-30`, or `40-` up to the model's end. */
function ranges(numbers, depth) {
    const runs = [];
    for (const number of numbers) {
        if (runs.at(-1)?.[1] === number - 1) runs.at(-1)[1] = number;
        else runs.push([number, number]);
    }
    return runs.map(([first, last]) => first === last ? `${first}` : `${first}-${last === depth - 1 ? "" : last}`);
}
