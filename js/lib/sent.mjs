// The text that is sent for a box with dynamic prompts, as the front end makes it (processDynamicPrompt): without //
// and /* */ comments, and with one option of each {a|b}, here always the first. No DOM.

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g;

/**
 * { text, at, comments, choices } for a text. `at` has the offset in the given text of each sent character, and of the
 * end. `comments` [{ place, text, isAddress }] are left out, such as the rest of a line after https:; `choices`
 * [{ place, count }] are drawn. A place is an offset in the sent text.
 */
export function sent(given) {
    const found = { comments: [], choices: [] };
    const whole = { text: given, at: [...Array(given.length).keys()] };
    for (const match of given.matchAll(COMMENT)) {
        const isAddress = match[0].startsWith("//") && given[match.index - 1] === ":";
        found.comments.push({ place: match.index, text: match[0], isAddress });
    }
    const { text, at } = resolved(whole, found);
    const placed = ({ place, ...rest }) => ({ place: firstFrom(at, place), ...rest });
    return { text, at: [...at, given.length], comments: found.comments.map(placed), choices: found.choices.map(placed) };
}

/** A text that is sent as it is. */
export const unchanged = text => ({ text, at: null, comments: [], choices: [] });

/** The offsets [from, to) in the given text of offsets in a sent one. */
export function given({ at }, [from, to]) {
    if (!at) return [from, to];
    return [at[from], from === to ? at[from] : at[to - 1] + 1];
}

function firstFrom(at, place) {
    const found = at.findIndex(each => each >= place);
    return found < 0 ? at.length : found;
}

const part = ({ text, at }, from, to) => ({ text: text.slice(from, to), at: at.slice(from, to) });

const joined = parts => ({ text: parts.map(({ text }) => text).join(""), at: parts.flatMap(({ at }) => at) });

/** The piece without what matches, or of each match its last `kept` characters. */
function without(piece, pattern, kept = 0) {
    const parts = [];
    let from = 0;
    for (const { 0: { length }, index } of piece.text.matchAll(pattern)) {
        parts.push(part(piece, from, index));
        from = index + length - kept;
    }
    return parts.length ? joined([...parts, part(piece, from)]) : piece;
}

function resolved(given, found) {
    const piece = without(given, COMMENT), { text, at } = piece, parts = [];
    let from = 0, index = 0;
    while (index < text.length) {
        const sign = text[index++];
        if (sign === "\\") {
            index++;
            if (index <= text.length) continue;
            parts.push(part(piece, from), { text: "undefined", at: Array(9).fill(at.at(-1)) }); // as the front end does
            from = index;
        } else if (sign === "{") {
            parts.push(part(piece, from, index - 1));
            const { options, end } = optionsOf(piece, index);
            found.choices.push({ place: at[index - 1], count: options.length });
            parts.push(resolved(options[0], found));
            from = index = end;
        }
    }
    parts.push(part(piece, from));
    return without(joined(parts), /\\[{}|]/g, 1);
}

/** The options of a choice whose brace ends before `start`, and the offset after its closing brace. */
function optionsOf(piece, start) {
    const { text } = piece, options = [];
    let depth = 0, from = start, index = start;
    for (; index < text.length; index++) {
        const sign = text[index];
        if (sign === "\\") index++;
        else if (sign === "{") depth++;
        else if (sign === "}") {
            if (!depth) break;
            depth--;
        } else if (sign === "|" && !depth) {
            options.push(part(piece, from, index));
            from = index + 1;
        }
    }
    options.push(part(piece, from, index));
    return { options, end: Math.min(index + 1, text.length) };
}
