// The timeline's texts.

import { t } from "../lib/words.mjs";

export const TEXTS = {
    units: { step: () => t("steps"), percent: () => t("percent"), sigma: () => t("sigma") },
    timeline: stream => t("{stream} timeline", { stream }),
    keys: () => t("Left and Right arrows move the start of a prompt, by 5 steps with Shift, finely with Alt. Up and "
        + "Down go to other prompts. Enter splits, Delete removes, F makes the fade-in longer, Shift+F makes it shorter. "
        + "A number chooses the prompt."),
    from: time => t("from {time}", { time }),
    whole: time => t("at full strength from {time}", { time }),
    until: time => t("until {time}", { time }),
    fromStart: () => t("from the start"),
    untilEnd: () => t("until the end"),
    border: () => t("Drag to change when this prompt starts. Hold Alt to place it between steps."),
    fade: () => t("Drag to change how long this prompt fades in."),
    unit: {
        step: () => t("The ruler shows steps. Click for percent."),
        percent: () => t("The ruler shows percent. Click for sigma."),
        sigma: () => t("The ruler shows sigma. Click for steps."),
    },
    step: step => t("step {step}", { step }),
    percent: percent => `${percent} %`,
    sigma: sigma => t("sigma {sigma}", { sigma }),
    late: (time, steps) =>
        t("@{time} is past the end of the run (steps: {steps}). This prompt has no effect.", { time, steps }),
    void: () => t("A split here would change nothing: no other prompt is connected."),
    drawn: () => t("ComfyUI draws one option of each {a|b} at each run. The first option is shown here."),
    split: () => t("Split here"),
    remove: () => t("Remove"),
    fadeIn: () => t("Fade in over 4 steps"),
    cut: () => t("No fade"),
    plays: number => t("Prompt {number}", { number }),
    unnamed: "?",
    unread: stream => t("The {stream} timeline comes from another node. It is not known before the run.", { stream }),
    notConnected: (stream, number) => t("{stream} prompt {number} is not connected.", { stream, number }),
    notNumber: (stream, text) => text
        ? t("{stream}: {text} is not the number of a prompt.", { stream, text: JSON.stringify(text) })
        : t("{stream}: the number of a prompt is missing.", { stream }),
    unused: (stream, number) => t("{stream} prompt {number} is connected, but the timeline does not use it.",
        { stream, number }),
    idle: (stream, time, steps) =>
        t("{stream}: the prompt from {time} has no effect in this run (steps: {steps}).", { stream, time, steps }),
    idleFirst: (stream, steps) =>
        t("{stream}: the first prompt has no effect in this run (steps: {steps}).", { stream, steps }),
    run: {
        steps: count => count === 1 ? t("1 step") : t("{count} steps", { count }),
        denoise: denoise => t("denoise {denoise}", { denoise }),
        model: {
            dev: () => t("FLUX.1 dev's shift"),
            schnell: () => t("FLUX.1 schnell, no shift"),
            patched: shift => t("shift {shift}", { shift }),
        },
        assumedSize: () => t("1024 x 1024 assumed"),
        guessed: names => t("not known before the run: {names}", { names }),
        none: () => t("No sampler found. The ruler assumes 20 steps of FLUX.1 dev."),
        opaque: title => t("The ruler assumes 20 steps of FLUX.1 dev: the steps of {title} cannot be read.", { title }),
        offline: why => t("The server gives no noise schedule ({why}). Percent is drawn evenly.", { why }),
        from: title => t("Steps and noise schedule of {title}", { title }),
    },
    // Errors of the grammar, as in nodes/condition/time
    badTime: text => t('Got "{text}" for a time, expected a step (8), a percent of time (40%) or a sigma (s0.7).',
        { text }),
    plainAt: word => t("To begin a line of the prompt with @, write \\@{word}.", { word }),
    badDots: text => t('Got "{text}" for a time, expected one time (8) or two (8..12). If the prompt itself begins with '
        + "two dots, write it on the line below the time.", { text }),
    pastAll: text => t('Got "{text}" for a time, expected at most 100%.', { text }),
    partStep: text => t('Got "{text}" for a time, expected a whole step (8), a percent (40%) or a sigma (s0.7).',
        { text }),
    lateStart: mark => t("The first prompt must start with the run, not at @{mark}.", { mark }),
    earlySecond: () => t("The second prompt starts with the run, so the first one is never used."),
    mixed: units => t("The times have different units ({units}). Use one unit for all of them.",
        { units: units.map(unit => TEXTS.units[unit]()).join(", ") }),
    order: (next, one) => t("{next} comes after {one}. Write the times in the order of the run.", { next, one }),
};
