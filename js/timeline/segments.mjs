// The elements of a track: a segment for each prompt, a grip at each start, a handle at each fade's end.

import { element } from "../lib/dom.mjs";
import { pointText } from "./grammar.mjs";
import { TEXTS } from "./texts.mjs";

// The stream's hue for the first prompt, darker for others; white text is readable on all of them.
const SHADES = [100, 66, 82, 52];

/** `active` is the focused segment's index; `drag` is { index, kind } of the dragged part, or null. */
export function segments(state, active, drag) {
    if (!state.entries) return [message(state.wrong ?? state.unread, Boolean(state.wrong))];
    const made = state.entries.map((_, index) => segment(state, index, index === active));
    for (const index of state.entries.keys()) if (index && !isLate(state, index)) made.push(...handles(state, index, drag));
    return made;
}

function message(text, isWrong) {
    const made = element("div", { className: "message", tabIndex: 0, role: "option", dataset: { about: text } },
        element("span", { textContent: text }));
    made.toggleAttribute("data-wrong", isWrong);
    return made;
}

function segment(state, index, isActive) {
    const { entries, connected } = state, number = entries[index].text.trim();
    const [from, full, to] = [startOf(state, index), fadeOf(state, index), startOf(state, index + 1)];
    const words = (connected ? connected[number] ?? "" : number).replace(/\s+/g, " ");
    const about = tooltip(state, index, words, [from, full, to]);
    const made = element("div", {
        className: "segment", role: "option", tabIndex: isActive ? 0 : -1, ariaSelected: String(isActive),
        "aria-label": about.join(", "), dataset: { index, about: about.join("\n") },
        style: { left: share(from, state.clock.steps), width: share(to - from, state.clock.steps) },
    });
    made.style.setProperty("--fill", shade(state, index));
    const isUnknown = connected && Object.keys(connected).length && !(number in connected);
    made.toggleAttribute("data-bad", Boolean(isUnknown));
    if (isLate(state, index)) { // it would have no width
        made.dataset.idle = "";
        made.append(element("b", { textContent: `@${pointText(entries[index].start)}` }));
        return made;
    }
    if (full > from) {
        const style = { width: share(Math.min(full, to) - from, to - from) };
        made.style.setProperty("--before", shade(state, index - 1));
        made.append(element("div", { className: "ramp", style }), element("div", { className: "space", style }));
    }
    if (connected) made.append(element("b", { textContent: number || TEXTS.unnamed }));
    const more = { className: "more", type: "button", tabIndex: -1, textContent: "\u2026", ariaHidden: "true" };
    made.append(element("span", { className: "words", textContent: words }), element("button", more));
    return made;
}

/** The lines of a segment's tooltip: its prompt and its times. */
function tooltip({ stream, entries, connected, clock, explain }, index, words, [from, full, to]) {
    const number = entries[index].text.trim();
    const name = connected ? [`${stream.name} ${number}`, words].filter(Boolean).join(": ") : `${stream.name}: ${words}`;
    const [start, whole] = [from, full].map(place => explain(place).join(" \u00b7 "));
    if (index && from >= clock.steps) return [name, TEXTS.late(pointText(entries[index].start), clock.steps)];
    const lines = [name, ...entries[index].isDrawn ? [TEXTS.drawn()] : [], index ? TEXTS.from(start) : TEXTS.fromStart()];
    if (full > from) lines.push(TEXTS.whole(whole));
    return [...lines, index + 1 < entries.length ? TEXTS.until(explain(to)[0]) : TEXTS.untilEnd()];
}

function handles(state, index, drag) {
    const [start, fade] = [startOf(state, index), fadeOf(state, index)];
    return [["grip", start, TEXTS.border()], ["ease", fade, TEXTS.fade()]].map(([className, place, about]) => {
        const left = share(place, state.clock.steps);
        const made = element("div", { className, dataset: { index, about }, style: { left } });
        made.toggleAttribute("data-held", drag?.index === index && drag.kind === className);
        made.toggleAttribute("data-none", fade <= start);
        return made;
    });
}

/** The shade of a prompt, the same in all its segments. */
function shade({ stream, entries, connected }, index) {
    const texts = entries.map(entry => entry.text.trim());
    const which = connected ? Number(texts[index]) - 1 : [...new Set(texts)].indexOf(texts[index]);
    return `color-mix(in srgb, ${stream.hue} ${SHADES[Math.max(which || 0, 0) % SHADES.length]}%, #10151a)`;
}

const share = (part, of) => `${of ? 100 * part / of : 0}%`;
const fadeOf = ({ entries, clock }, index) => index ? clock.place(entries[index].fade) : 0;

/** Whether an entry starts at the end of the run, or after it. */
const isLate = (state, index) => index > 0 && startOf(state, index) >= state.clock.steps;

function startOf({ entries, clock }, index) {
    if (!index) return 0;
    return index < entries.length ? clock.place(entries[index].start) : clock.steps;
}
