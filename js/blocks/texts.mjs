// The block picker's texts.

import { t } from "../lib/words.mjs";

const SHORT = 60; // characters of a wrong word

export const TEXTS = {
    stream: { clip: () => "CLIP", t5: () => "T5", "": () => t("blocks") },
    strip: stream => stream ? t("{stream} blocks", { stream }) : t("Blocks"),
    keys: () => t("Left and Right arrows move to another block. With Shift they also give it the state of the current "
        + "block. Space turns a block on or off."),
    block: {
        double: number => t("Block {number}, double", { number }),
        single: number => t("Block {number}, single", { number }),
        final: () => t("The last layer's modulation"),
    },
    presets: () => t("Presets"),
    presetsOf: strip => t("Presets: {strip}", { strip }),
    hint: () => t("Press and drag to turn blocks on or off."),
    count: (count, all) => t("{count} of {all} blocks", { count, all }),
    unread: () => t("The list comes from another node. It is not known before the run."),
    badWord: word => t('Got "{word}", expected numbers, ranges like 5-18 or 40-, double, single, final, all or none.',
        { word }),
    tooLarge: word => t('Got "{word}", which is larger than any model\'s block number. FLUX.1 has the blocks 0 to 56.',
        { word: word.slice(0, SHORT) }),
    backwards: (first, last) =>
        t("{first}-{last} ends before it begins, so it names no block. Expected {last}-{first}.", { first, last }),
    beyond: (named, last) => t("This model has no {named}: it has the blocks 0 to {last}.", { named, last }),
    depth: (double, single, name) =>
        t("{double} double and {single} single blocks: {name}", { double, single, name }),
    flux: "FLUX.1",
};
