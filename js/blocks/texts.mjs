// The block picker's texts.

const count = (blocks, of) => `${blocks} of ${of}`;

export const TEXTS = {
    stream: { clip: "CLIP", t5: "T5", "": "blocks" },
    strip: stream => stream ? `${stream} blocks` : "Blocks",
    keys: "Left and Right move, with Shift they take the next block along, Space changes a block.",
    block: number => `Block ${number}`,
    kind: { double: "double", single: "single", final: "the last layer's modulation" },
    final: "Last layer",
    presets: "Presets",
    hint: "Press and drag to set or to clear.",
    count,
    unread: "The list comes from another node; its content is not known before the run.",
    badWord: word => `Got "${word}", expected numbers, ranges like 5-18 or 40-, double, single, final, all or none.`,
    tooLarge: word => `Got "${word.slice(0, 60)}", a number that no model has; expected numbers such as FLUX.1's 0 to 56.`,
    backwards: (first, last) => `${first}-${last} ends before it begins and names no block; expected ${last}-${first}.`,
    beyond: (named, last) => `${named} is not in this model: it has blocks 0 to ${last}.`,
    depth: (double, single, name) => `${double} double and ${single} single blocks: ${name}`,
    flux: "FLUX.1",
};
