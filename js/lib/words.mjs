// The panels' texts in the user's language. No DOM. js/language.js sets the language before any panel is drawn.

const PLACE = /\{(\w+)\}/g; // not the {a|b} of dynamic prompts
const RIGHT_TO_LEFT = /[\u0590-\u06ff]/;

let translations = {};

/** Sets the language: { English text: translation }. What has no translation stays English. */
export function speak(table) {
    translations = table;
}

/** The translation of an English text, with `values` at its {places}. It is a call, not a constant, so that it is made
 * after the language is set. devtools/panel_texts.py finds the texts by these calls. */
export function t(text, values = {}) {
    const said = translations[text] ?? text;
    // In a sentence that runs from right to left, a file name or a range of numbers is read as one piece.
    const placed = RIGHT_TO_LEFT.test(said) ? value => `\u2068${value}\u2069` : String;
    return said.replace(PLACE, (place, name) => name in values ? placed(values[name]) : place);
}
