// Show Heatmap's view: a word's map over the picture, the words' shares, and the choice of steps and blocks.
//
// The server keeps the maps of all steps and blocks and sends the mean of the chosen ones: a number from 0 to 255 for
// each word and cell.

import { post, requester, fileUrl } from "../lib/requests.mjs";
import { element } from "../lib/dom.mjs";
import { RANGE_CSS } from "../lib/range.mjs";
import { setValues, valueOf, watch } from "../lib/widgets.mjs";
import { t } from "../lib/words.mjs";
import { Choices } from "./choices.mjs";
import { dragWord } from "./drag.mjs";
import { PICTURE_CSS, Picture, legend } from "./picture.mjs";
import { WORDS_CSS, WordList } from "./words.mjs";

export const TEXTS = {
    empty: () => t("Run the workflow to see where in the picture each word acts."),
    noPicture: () => t("The picture is no longer on the server. Run the workflow again to see it."),
    shares: { concept: () => t("Share of the picture"), causal: () => t("Change of the velocity") },
    share: () => t("Share of the attention"),
    similarity: () => t("Similarity to the peak"),
    pictures: count => t("Picture 1 of {count}. The outputs of the node have all of them.", { count }),
    measures: {
        mass: () => t("Attention at this position"),
        flow: () => t("Pull at this position"),
        output: () => t("Similarity at this position"),
        "through T5": () => t("Attention at this position"),
        concept: () => t("Share of this position"),
        causal: () => t("Change at this position"),
    },
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
    .note { min-height: 0; }
    .note:empty { display: none; }
    .note.wrong { color: var(--error-text, #e66); }
    ${PICTURE_CSS} ${WORDS_CSS} ${RANGE_CSS}
    .choice { display: flex; align-items: center; gap: 8px; height: 22px; }
    .choice > .name { width: 62px; flex: none; white-space: nowrap; text-align: left; }
    .choice > .value { flex: 0 0 110px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
        text-align: right; }
    .choice > button.name { padding: 0; height: 20px; line-height: 1; text-align: center; }
`;

export class HeatmapView {
    #run = null;
    #maps = null;
    #note = element("div", { className: "note quiet", role: "status" });
    #picture = new Picture(place => this.#pointed(place), () => this.#say(TEXTS.noPicture()));
    #words;
    #legend;
    #choices;
    #server = requester((choice, signal) => post("/flux_duet/heatmap", choice, signal),
        answer => this.#answered(answer), error => this.#failed(error));

    constructor(root, node) {
        this.node = node;
        this.#words = new WordList(() => this.#paint(), word => setValues([node, { word }]),
            (button, word) => dragWord(button, word, node));
        this.#choices = new Choices(node, choice => this.#server.want({ name: this.#run.name, ...choice }));
        this.#legend = legend(node, share => this.#picture.cover(share));
        const stage = element("div", { className: "stage" }, this.#picture.root, this.#words.root, this.#legend.root);
        root.append(element("div", { className: "view" }, stage, this.#choices.root, this.#note));
        watch(node, ["first_step", "last_step", "blocks", "head", "refine"], () => this.start());
        watch(node, ["word"], () => this.#words.choose(valueOf(node, "word")));
    }

    show(output) {
        [this.#run] = output.flux_duet_heatmap ?? [];
        if (!this.#run) return this.#failed(new Error(output.text?.[0] ?? TEXTS.empty())); // the maps could not be stored
        this.#legend.show();
        this.#picture.load(this.#run.picture && fileUrl(this.#run.picture), this.#run.size);
        this.start();
    }

    start() {
        if (this.#run) this.#choices.show(this.#run);
    }

    stop() {
        this.#choices.stop();
        this.#server.stop();
    }

    #answered(answer) {
        this.#maps = decoded(answer);
        this.#say(this.#run.pictures > 1 ? TEXTS.pictures(this.#run.pictures) : "");
        const entries = answer.words.map(word => ({ word, value: answer.shares[word] }));
        this.#words.show(entries, (TEXTS.shares[this.#run.measure] ?? TEXTS.share)());
        this.#words.choose(valueOf(this.node, "word"));
    }

    #failed(error) {
        this.#maps = null;
        this.#picture.draw(null);
        this.#say(error.message, true);
    }

    #paint() {
        if (this.#maps) this.#picture.draw(this.#maps.levels[this.#words.looked]);
    }

    /** Ranks the words in a cell of the maps; null is the whole picture. */
    #pointed(place) {
        if (!this.#maps) return;
        if (place === null) return this.#words.rank(null);
        const values = this.#maps.levels.map((_, word) => this.#maps.at(word, place));
        const isSpread = valueOf(this.node, "refine") === "spread";
        this.#words.rank(values, (isSpread ? TEXTS.similarity : TEXTS.measures[this.#run.measure])?.());
    }

    #say(text, wrong = false) {
        this.#note.textContent = text;
        this.#note.classList.toggle("wrong", wrong);
    }
}

/** The maps of a response: `levels[word]`, 0 to 255 per cell, and `at(word, place)`, the value in a cell. */
function decoded({ words, size, least, most, maps }) {
    const bytes = Uint8Array.from(atob(maps), sign => sign.charCodeAt(0));
    const places = size[0] * size[1];
    const levels = words.map((_, word) => bytes.subarray(word * places, (word + 1) * places));
    const at = (word, place) => least[word] + levels[word][place] / 255 * (most[word] - least[word]);
    return { words, size, levels, at };
}
