// Prompt Grid's view: a sheet of CLIP prompts by T5 prompts for one seed and one LoRA, and one enlarged cell after a
// click.

import { fileUrl } from "../lib/requests.mjs";
import { lineColour } from "../lib/chart.mjs";
import { element } from "../lib/dom.mjs";
import { STREAMS } from "../lib/palette.mjs";
import { VARIANCE_CSS, variance } from "./variance.mjs";
import { t } from "../lib/words.mjs";
import { copyPrompts, useAsNegative, usePrompts } from "./use.mjs";

export const SIZE = [460, 392];
export const TEXTS = {
    empty: () => t("Run the workflow to see every CLIP prompt with every T5 prompt."),
    gone: () => t("The pictures are no longer on the server. Run the workflow again. If nothing in it has changed, change "
        + "the seed first."),
    sheet: () => t("Pictures: one row for each CLIP prompt, one column for each T5 prompt"),
    corner: () => t("CLIP down, T5 across"),
    nothing: () => t("(empty)"),
    seed: () => t("Seed"),
    lora: "LoRA",
    made: () => t("Computed by"),
    use: () => t("Use this cell\u2019s prompts"),
    negative: () => t("Use as negative"),
    copy: () => t("Copy prompts"),
    back: () => t("Back to the sheet"),
    cell: (clip, t5) => `CLIP: ${clip}. T5: ${t5}`,
};

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; position: relative; }
    .finding { max-height: 4.3em; overflow: auto; }
    .note:empty { display: none; }
    .room { flex: 1; min-height: 0; container-type: size; }
    /* As large as the room lets all rows be, and never too small to see: then the sheet scrolls. */
    .sheet { height: 100%; overflow: auto; display: grid; gap: 4px; place-content: start center;
        grid-auto-rows: max-content;
        grid-template-columns: minmax(60px, 110px) repeat(var(--columns),
            minmax(64px, max(80px, (100cqh - 48px) / var(--rows) * var(--shape) - 6px))); }
    .sheet .t5, .sheet .clip { font-size: 11px; line-height: 1.3; overflow: hidden; display: -webkit-box;
        -webkit-box-orient: vertical; -webkit-line-clamp: 3; }
    .sheet .t5 { text-align: center; align-self: end; color: ${lineColour(STREAMS.t5.hue)}; }
    .sheet .clip { text-align: right; align-self: center; -webkit-line-clamp: 5;
        color: ${lineColour(STREAMS.clip.hue)}; }
    .sheet .corner { font-size: 10px; align-self: end; text-align: right; }
    .cell { padding: 0; border-radius: 4px; overflow: hidden; }
    .cell img { display: block; width: 100%; aspect-ratio: var(--shape); }
    .one img { display: block; width: 100%; height: 100%; object-fit: contain; }
    .one { position: absolute; inset: -2px; display: flex; flex-direction: column; gap: 6px;
        background: var(--comfy-menu-bg, #171718); }
    .one .frame { flex: 1; min-height: 0; }
    .one p { margin: 0; max-height: 4.2em; overflow: auto; user-select: text; }
    .one .row, .seeds, .seeds label { display: flex; gap: 6px; align-items: center; }
    .seeds { flex-wrap: wrap; }
    .seeds select { max-width: 260px; font: inherit; color: inherit; background: var(--comfy-input-bg, #222); border-radius: 6px;
        border: 1px solid var(--border-color, #444); }
    [hidden] { display: none !important; }
    ${VARIANCE_CSS}
`;

export class GridView {
    #grid = null;
    #cells = [];
    #finding = element("div", { className: "finding scrolls" });
    #note = element("div", { className: "note quiet", role: "status" });
    #seed = element("select", { "aria-label": TEXTS.seed() });
    #seeds = element("label", {}, TEXTS.seed(), this.#seed);
    #lora = element("select", { "aria-label": TEXTS.lora });
    #loras = element("label", {}, TEXTS.lora, this.#lora);
    #choice = element("div", { className: "seeds quiet" }, this.#loras, this.#seeds);
    #sheet = element("div", { className: "sheet scrolls", role: "group", "aria-label": TEXTS.sheet() });
    #one = element("div", { className: "one", hidden: true, role: "group" });
    #bar = variance();

    constructor(root, node) {
        this.node = node;
        const room = element("div", { className: "room" }, this.#sheet);
        root.append(element("div", { className: "view" },
            this.#finding, this.#bar.root, this.#choice, room, this.#note, this.#one));
        for (const each of [this.#seed, this.#lora]) each.addEventListener("change", () => this.#lay());
    }

    show(output) {
        const grid = this.#grid = output.flux_duet_grid[0];
        this.#finding.textContent = grid.sentence;
        this.#note.textContent = grid.notes.join("\n");
        this.#one.hidden = true;
        this.#offer(this.#seed, this.#seeds, grid.seeds);
        this.#offer(this.#lora, this.#loras, grid.loras ?? []);
        this.#choice.hidden = this.#seeds.hidden && this.#loras.hidden;
        this.#bar.show(grid);
        this.#lay();
    }

    #offer(select, row, values) {
        select.replaceChildren(...values.map(each => element("option", { textContent: each })));
        row.hidden = values.length < 2;
    }

    /** Shows the sheet of the chosen seed and LoRA. */
    #lay() {
        const { clip, t5 } = this.#grid;
        this.#cells = [];
        const corner = element("div", { className: "corner quiet", textContent: TEXTS.corner() });
        const rows = clip.map((text, row) =>
            [label("clip", text), ...t5.map((_, column) => this.#cell(row, column))]);
        for (const [name, value] of [["columns", t5.length], ["rows", clip.length], ["shape", 1]]) {
            this.#sheet.style.setProperty(`--${name}`, value);
        }
        this.#sheet.replaceChildren(corner, ...t5.map(text => label("t5", text)), ...rows.flat());
    }

    #cell(row, column) {
        const { clip, t5, cells } = this.#grid, at = row * t5.length + column;
        const name = TEXTS.cell(clip[row] || TEXTS.nothing(), t5[column] || TEXTS.nothing());
        const file = cells[this.#index(row, column)];
        const image = element("img", { src: fileUrl(file), alt: "", draggable: false });
        image.addEventListener("error", () => this.#note.textContent = TEXTS.gone());
        image.addEventListener("load", () =>
            this.#sheet.style.setProperty("--shape", image.naturalWidth / image.naturalHeight));
        const button = { className: "cell", title: name, "aria-label": name, tabIndex: at ? -1 : 0 };
        this.#cells[at] = element("button", button, image);
        this.#cells[at].addEventListener("click", () => this.#enlarge(row, column, this.#cells[at]));
        this.#cells[at].addEventListener("keydown", event => this.#move(event, at));
        return this.#cells[at];
    }

    /** A cell's place in the lists of all cells. */
    #index(row, column) {
        const { clip, t5, seeds } = this.#grid;
        const sheet = Math.max(0, this.#lora.selectedIndex) * seeds.length + this.#seed.selectedIndex;
        return (sheet * clip.length + row) * t5.length + column;
    }

    #move(event, at) {
        const wide = this.#grid.t5.length;
        const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[event.key];
        const to = this.#cells[at + by];
        if (!to) return;
        event.preventDefault();
        this.#cells[at].tabIndex = -1;
        to.tabIndex = 0;
        to.focus({ preventScroll: true });
    }

    /** Shows one enlarged cell over the sheet. */
    #enlarge(row, column, from) {
        const prompts = { clip: this.#grid.clip[row], t5: this.#grid.t5[column] };
        const used = element("span", { className: "quiet", role: "status" });
        const use = element("button", { textContent: TEXTS.use() });
        const negative = element("button", { textContent: TEXTS.negative() });
        const copy = element("button", { textContent: TEXTS.copy() });
        const back = element("button", { textContent: TEXTS.back() });
        const close = () => {
            this.#one.hidden = true;
            from.focus({ preventScroll: true });
        };
        use.addEventListener("click", async () => used.textContent = await usePrompts(this.node, prompts));
        negative.addEventListener("click", () => used.textContent = useAsNegative(this.node, prompts));
        copy.addEventListener("click", async () => used.textContent = await copyPrompts(prompts));
        back.addEventListener("click", close);
        this.#one.onkeydown = event => event.key === "Escape" && (event.stopPropagation(), close());
        const texts = Object.keys(prompts).map(stream => element("p", { className: "scrolls" },
            element("b", { textContent: `${STREAMS[stream].name} ` }), prompts[stream] || TEXTS.nothing()));
        if (this.#lora.value) {
            texts.push(element("p", {}, element("b", { textContent: `${TEXTS.lora} ` }), this.#lora.value));
        }
        const made = this.#grid.machines?.[this.#index(row, column)];
        if (made) texts.push(element("p", {}, element("b", { textContent: `${TEXTS.made()} ` }), made));
        this.#one.replaceChildren(element("div", { className: "frame" }, from.firstChild.cloneNode()), ...texts,
            element("div", { className: "row" }, use, negative, copy, back), used);
        this.#one.hidden = false;
        use.focus({ preventScroll: true });
    }
}

function label(stream, text) {
    return element("div", { className: stream, textContent: text || TEXTS.nothing(), title: text || TEXTS.nothing() });
}
