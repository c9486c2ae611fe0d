// The timeline's texts.

const UNITS = { step: "steps", percent: "percent", sigma: "sigma" };

export const TEXTS = {
    units: UNITS,
    timeline: stream => `${stream} timeline`,
    keys: "Left and Right move its start, with Shift by five steps, with Alt finely. Up and Down go to other prompts. "
        + "Enter splits, Delete removes, F fades in longer, Shift+F shorter, a number chooses the prompt.",
    from: time => `from ${time}`, whole: time => `alone from ${time}`, until: time => `until ${time}`,
    start: "the start", end: "the end",
    border: "Drag: when this prompt starts. Alt: between steps.",
    fade: "Drag: how long this prompt fades in.",
    unit: unit => `The ruler is in ${UNITS[unit]}. Click for another unit.`,
    step: step => `step ${step}`,
    percent: percent => `${percent} %`,
    sigma: sigma => `sigma ${sigma}`,
    late: (time, steps) => `@${time} is past the end of the run, which has ${steps} ${steps === 1 ? "step" : "steps"}: this `
        + "prompt does not act.",
    void: "A border here would change nothing: no other prompt is connected.",
    drawn: "One option of each {a|b} is drawn at each run. The first is shown.",
    split: "Split here", remove: "Remove", fadeIn: "Fade in over four steps", cut: "No fade",
    plays: number => `Prompt ${number}`,
    unnamed: "?",
    unread: stream => `The ${stream} text comes from another node; its content is not known before the run.`,
    notConnected: (stream, number) => `${stream} prompt ${number} is not connected.`,
    notNumber: (stream, text) => text ? `${stream}: ${JSON.stringify(text)} is not the number of a prompt.`
        : `${stream}: a prompt's number is missing.`,
    unused: (stream, number) => `${stream} prompt ${number} is connected, but never plays.`,
    idle: (stream, time, steps) => `${stream}: the prompt from ${time} acts in none of the run's `
        + `${steps} ${steps === 1 ? "step" : "steps"}.`,
    run: {
        steps: count => `${count} ${count === 1 ? "step" : "steps"}`,
        denoise: denoise => `denoise ${denoise}`,
        model: { dev: "FLUX.1 dev's shift", schnell: "FLUX.1 schnell, no shift", patched: shift => `shift ${shift}` },
        assumedSize: "1024 x 1024 assumed",
        guessed: names => `${names} not known before the run`,
        none: "No sampler found: 20 steps of FLUX.1 dev assumed",
        opaque: title => `The steps that ${title} sets cannot be read here: 20 steps of FLUX.1 dev assumed`,
        offline: why => `The server gives no schedule (${why}); percent is drawn evenly`,
        from: title => `Times as in ${title}`,
    },
    // Errors of the grammar, as in nodes/condition/time
    badTime: text => `Got "${text}" for a time, expected a step (8), a percent of time (40%) or a sigma (s0.7).`,
    plainAt: word => `For a line that begins with an @ of its own write \\@${word}.`,
    badDots: text => `Got "${text}" for a time, expected one such as 8, or two such as 8..12. A prompt that begins with `
        + ".. goes on the line below its mark.",
    pastAll: text => `Got "${text}" for a time, expected at most 100%.`,
    partStep: text => `Got "${text}" for a time, expected a whole step, or a percent (40%), or a sigma (s0.7).`,
    lateStart: mark => `The first prompt starts with the run, not at @${mark}: nothing would be drawn before.`,
    earlySecond: "The second prompt starts with the run, so that the first is never drawn.",
    mixed: units => `Times in ${units.map(unit => UNITS[unit]).join(" and ")}; expected one unit for all of them.`,
    order: (next, one) => `${next} comes after ${one}; expected times in the order of the run.`,
};
