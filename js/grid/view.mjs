// What Prompt Grid shows: a sheet of CLIP prompts by T5 prompts for a seed, and over it, after a click, one cell.

import { fileUrl } from "../lib/asking.mjs";
import { element } from "../lib/dom.mjs";
import { ROADS } from "../lib/palette.mjs";
import { VARIANCE_CSS, variance } from "./variance.mjs";
import { usePrompts } from "./use.mjs";

export const SIZE = [460, 400];
export const TEXTS = {
    empty: "Run the workflow to see every CLIP prompt with every T5 prompt.",
    gone: "The pictures are no longer on the server. Run the workflow again; if nothing in it has changed, change the "
        + "seed first.",
    sheet: "Pictures: CLIP prompts down, T5 prompts across", corner: "CLIP down, T5 across",
    nothing: "(empty)", seed: "Seed", use: "Use this cell\u2019s prompts", back: "Back to the sheet",
    cell: (clip, t5) => `CLIP: ${clip}. T5: ${t5}`,
};

export const CSS = `
    .view { display: flex; flex-direction: column; gap: 6px; height: 100%; position: relative; }
    .finding { max-height: 4.3em; overflow: auto; }
    .told:empty { display: none; }
    .room { flex: 1; min-height: 0; container-type: size; }
    /* As large as the room lets all rows be, and never too small to see: then the sheet scrolls. */
    .sheet { height: 100%; overflow: auto; display: grid; gap: 4px; place-content: start center; grid-auto-rows: max-content;
        grid-template-columns: minmax(60px, 110px) repeat(var(--columns),
            minmax(64px, max(80px, (100cqh - 48px) / var(--rows) * var(--shape) - 6px))); }
    .sheet .t5, .sheet .clip { font-size: 11px; line-height: 1.3; overflow: hidden; display: -webkit-box;
        -webkit-box-orient: vertical; -webkit-line-clamp: 3; }
    .sheet .t5 { text-align: center; align-self: end; color: color-mix(in oklab, ${ROADS.t5.hue} 72%, var(--input-text, #ddd)); }
    .sheet .clip { text-align: right; align-self: center; -webkit-line-clamp: 5;
        color: color-mix(in oklab, ${ROADS.clip.hue} 72%, var(--input-text, #ddd)); }
    .sheet .corner { font-size: 10px; align-self: end; text-align: right; }
    .cell { padding: 0; border-radius: 4px; overflow: hidden; }
    .cell img { display: block; width: 100%; aspect-ratio: var(--shape); }
    .one img { display: block; width: 100%; height: 100%; object-fit: contain; }
    .one { position: absolute; inset: -2px; display: flex; flex-direction: column; gap: 6px;
        background: var(--comfy-menu-bg, #171718); }
    .one .frame { flex: 1; min-height: 0; }
    .one p { margin: 0; max-height: 4.2em; overflow: auto; user-select: text; }
    .one .row, .seeds { display: flex; gap: 6px; align-items: center; }
    .seeds select { font: inherit; color: inherit; background: var(--comfy-input-bg, #222); border-radius: 6px;
        border: 1px solid var(--border-color, #444); }
    [hidden] { display: none !important; }
    ${VARIANCE_CSS}
`;

export function gridView(root, node) {
    const finding = element("div", { className: "finding scrolls" });
    const told = element("div", { className: "told quiet", role: "status" });
    const seed = element("select", { "aria-label": TEXTS.seed });
    const seeds = element("label", { className: "seeds quiet" }, TEXTS.seed, seed);
    const sheet = element("div", { className: "sheet scrolls", role: "group", "aria-label": TEXTS.sheet });
    const one = element("div", { className: "one", hidden: true, role: "group" });
    const bar = variance();
    root.append(element("div", { className: "view" }, finding, bar.root, seeds,
        element("div", { className: "room" }, sheet), told, one));
    let grid = null, cells = [];
    seed.addEventListener("change", lay);

    const fileAt = (row, column) => grid.cells[(seed.selectedIndex * grid.clip.length + row) * grid.t5.length + column];

    function lay() {
        const heads = grid.t5.map(text => label("t5", text));
        cells = [];
        const rows = grid.clip.map((text, row) => [label("clip", text), ...grid.t5.map((_, column) => cell(row, column))]);
        for (const [name, value] of [["columns", grid.t5.length], ["rows", grid.clip.length], ["shape", 1]]) {
            sheet.style.setProperty(`--${name}`, value);
        }
        sheet.replaceChildren(element("div", { className: "corner quiet", textContent: TEXTS.corner }), ...heads, ...rows.flat());
    }
    function label(road, text) {
        return element("div", { className: road, textContent: text || TEXTS.nothing, title: text || TEXTS.nothing });
    }
    function cell(row, column) {
        const name = TEXTS.cell(grid.clip[row] || TEXTS.nothing, grid.t5[column] || TEXTS.nothing);
        const image = element("img", { src: fileUrl(fileAt(row, column)), alt: "", draggable: false });
        image.addEventListener("error", () => told.textContent = TEXTS.gone);
        image.addEventListener("load", () => sheet.style.setProperty("--shape", image.naturalWidth / image.naturalHeight));
        const made = element("button", { className: "cell", title: name, "aria-label": name, tabIndex: cells.length ? -1 : 0 }, image);
        const at = cells.push(made) - 1;
        made.addEventListener("click", () => enlarge(row, column, made));
        made.addEventListener("keydown", event => move(event, at));
        return made;
    }
    function move(event, at) {
        const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid.t5.length, ArrowUp: -grid.t5.length }[event.key];
        if (!by || !cells[at + by]) return;
        event.preventDefault();
        cells[at].tabIndex = -1;
        cells[at + by].tabIndex = 0;
        cells[at + by].focus({ preventScroll: true });
    }
    function enlarge(row, column, from) {
        const prompts = { clip: grid.clip[row], t5: grid.t5[column] };
        const said = element("span", { className: "quiet", role: "status" });
        const use = element("button", { textContent: TEXTS.use });
        const back = element("button", { textContent: TEXTS.back });
        const close = () => {
            one.hidden = true;
            from.focus({ preventScroll: true });
        };
        use.addEventListener("click", async () => said.textContent = await usePrompts(node, prompts));
        back.addEventListener("click", close);
        one.onkeydown = event => event.key === "Escape" && (event.stopPropagation(), close());
        one.replaceChildren(element("div", { className: "frame" }, from.firstChild.cloneNode()),
            ...Object.keys(prompts).map(road => element("p", { className: "scrolls" },
                element("b", { textContent: `${ROADS[road].name} ` }), prompts[road] || TEXTS.nothing)),
            element("div", { className: "row" }, use, back), said);
        one.hidden = false;
        use.focus({ preventScroll: true });
    }
    return {
        show(output) {
            [grid] = output.flux_duet_grid;
            finding.textContent = grid.sentence;
            told.textContent = grid.notes.join("\n");
            one.hidden = true;
            seed.replaceChildren(...grid.seeds.map(each => element("option", { textContent: each })));
            seeds.hidden = grid.seeds.length < 2;
            bar.show(grid);
            lay();
        },
    };
}
