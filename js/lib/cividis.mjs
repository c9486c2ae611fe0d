// The colours of maps: cividis (Nunez, Anderton and Renslow 2018), as in nodes/palette.py. Perceptually uniform, and
// nearly the same with red-green colour blindness.

// Every sixteenth colour.
const CIVIDIS = [
    [0, 34, 78], [0, 44, 105], [29, 54, 111], [52, 65, 108], [69, 76, 107], [84, 87, 109], [98, 98, 112],
    [111, 110, 117], [124, 121, 120], [139, 134, 120], [155, 147, 119], [171, 161, 116], [188, 175, 111],
    [206, 190, 103], [224, 205, 91], [243, 221, 73], [254, 232, 56],
];

/** The colour of each level from 0 to 255. */
export const LEVELS = Array.from({ length: 256 }, (_, level) => {
    const at = level / 255 * (CIVIDIS.length - 1);
    const low = Math.min(Math.floor(at), CIVIDIS.length - 2);
    return CIVIDIS[low].map((value, channel) => value + (at - low) * (CIVIDIS[low + 1][channel] - value));
});

/** The same as a CSS gradient from left to right. */
export const GRADIENT = `linear-gradient(to right, ${CIVIDIS.map(colour => `rgb(${colour})`).join(", ")})`;
