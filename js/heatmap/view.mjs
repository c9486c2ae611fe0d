// What Show Heatmap shows: a word's map over the picture, the words' shares, and which steps and blocks they are of.
//
// The server keeps the maps of all steps and blocks and sends the mean of the chosen ones: a number from 0 to 255 for
// each word and place.

import { ask, asker, fileUrl } from "../lib/asking.mjs";
import { element } from "../lib/dom.mjs";
import { RANGE_CSS } from "../lib/range.mjs";
import { setValues, valueOf, watch } from "../lib/widgets.mjs";
import { choices } from "./choices.mjs";
import { PICTURE_CSS, legend, picture } from "./picture.mjs";
import { WORDS_CSS, wordList } from "./words.mjs";

export const TEXTS = {
    empty: "Run the workflow to see where in the picture each word acts.",
    noPicture: "The picture is no longer on the server. Run the workflow again to see it.",
    inPicture: "Share of the attention",
    measures: { mass: "Attention at this place", flow: "Pull at this place", output: "Likeness at this place" },
};

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; }
    .fill { container-type: size; }
    .stage { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(0, 1fr) minmax(120px, 36%);
        grid-template-rows: minmax(0, 1fr) auto; gap: 4px 8px; }
    .picture { grid-row: 1 / 3; }
    @container (aspect-ratio < 1) {
        .stage { grid-template: minmax(0, 1fr) auto auto / 100%; }
        .picture { grid-row: 1; }
        .words { max-height: 9em; }
        .words .list { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); }
    }
    .told { min-height: 0; }
    .told:empty { display: none; }
    .told.wrong { color: var(--error-text, #e66); }
    ${PICTURE_CSS} ${WORDS_CSS} ${RANGE_CSS}
    .choice { display: flex; align-items: center; gap: 8px; height: 22px; }
    .choice > .name { width: 62px; flex: none; white-space: nowrap; text-align: left; }
    .choice > .value { flex: 0 0 110px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: right; }
    .choice button { padding: 0; height: 20px; line-height: 1; }
`;

export function heatmapView(root, node) {
    let run = null, maps = null;
    const told = element("div", { className: "told quiet", role: "status" });
    const image = picture({ pointed, missing: () => say(TEXTS.noPicture) });
    const words = wordList({ looked: paint, chosen: word => setValues([node, { word }]) });
    const chosen = choices(node, look);
    const server = asker((choice, signal) => ask("/flux_duet/heatmap", choice, signal), answered, failed);
    const stage = element("div", { className: "stage" }, image.root, words.root, legend());
    root.append(element("div", { className: "view" }, stage, chosen.root, told));
    watch(node, ["first_step", "last_step", "blocks", "head"], () => run && chosen.show(run));
    watch(node, ["word"], () => run && words.choose(valueOf(node, "word")));

    function look(choice) {
        server.want({ name: run.name, ...choice });
    }
    function answered(answer) {
        maps = decoded(answer);
        say("");
        words.show(maps.words.map((word, at) => ({ word, at, value: answer.shares[word] })), TEXTS.inPicture);
        paint();
    }
    function failed(error) {
        maps = null;
        image.draw(null);
        say(error.message, true);
    }
    function paint() {
        if (maps) image.draw(maps.levels[words.looked()], maps.size);
    }
    /** Ranks the words at a place of the maps, or null for the whole picture. */
    function pointed(place) {
        if (!maps) return;
        if (place === null) return words.rank(null);
        words.rank(maps.levels.map((_, word) => maps.at(word, place)), TEXTS.measures[run.measure]);
    }
    function say(text, wrong = false) {
        told.textContent = text;
        told.classList.toggle("wrong", wrong);
    }

    return {
        show(output) {
            [run] = output.flux_duet_heatmap;
            image.load(run.picture && fileUrl(run.picture), run.size);
            words.choose(valueOf(node, "word"));
            chosen.show(run);
        },
        start: () => run && chosen.show(run),
        stop() {
            chosen.stop();
            server.stop();
        },
    };
}

/** The maps of a server's answer: `levels[word]` of 0 to 255 for each place, and `at(word, place)`, what they mean. */
function decoded({ words, size, least, most, maps }) {
    const bytes = Uint8Array.from(atob(maps), sign => sign.charCodeAt(0));
    const places = size[0] * size[1];
    const levels = words.map((_, word) => bytes.subarray(word * places, (word + 1) * places));
    const at = (word, place) => least[word] + levels[word][place] / 255 * (most[word] - least[word]);
    return { words, size, levels, at };
}
