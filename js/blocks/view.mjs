// The block picker on a node: a strip and a menu of presets for each list of blocks.

import { element, styles } from "../lib/dom.mjs";
import { chain, keepUp } from "../lib/life.mjs";
import { MENU_CSS, menu } from "../lib/menu.mjs";
import { panel } from "../lib/panel.mjs";
import { setting } from "../lib/runs.mjs";
import { TIP_CSS, addTip, tip } from "../lib/tip.mjs";
import { isLinked, setValues, valueOf, watch } from "../lib/widgets.mjs";
import { depthOf } from "./depth.mjs";
import { read, written } from "./list.mjs";
import { Strip } from "./strip.mjs";
import { TEXTS } from "./texts.mjs";

const ROW = 22;
const SCALE = 14;
const STYLE = styles(`
    :host { --wrong: color-mix(in srgb, var(--error-text, #ff5a5a) 78%, var(--input-text, #ddd)); }
    .panel { display: grid; grid-template-columns: auto 1fr 18px; grid-auto-rows: ${ROW}px; gap: 0 7px;
        padding: 2px 8px; align-items: center; border-radius: 6px; background: var(--comfy-input-bg, #222);
        user-select: none; }
    .name { display: flex; align-items: center; gap: 5px; font-size: 11px; font-weight: 600; }
    .name::before { content: ""; width: 3px; height: 14px; border-radius: 2px; background: var(--hue); }
    .strip { display: flex; align-items: stretch; height: 16px; min-width: 0; touch-action: none; cursor: cell; }
    .strip[data-short] { margin-right: 13px; } /* where other strips have the last layer's cell */
    .strip[data-fixed] { cursor: default; opacity: .7; }
    .cell { flex: 1 1 0; min-width: 0; border-left: 1px solid var(--comfy-input-bg, #222);
        background: color-mix(in srgb, var(--input-text, #ddd) 17%, transparent); }
    .cell[data-first] { margin-left: 4px; }
    .cell[data-kind=final] { flex: 0 0 9px; border-radius: 50%; border: 0; margin-block: 3px; height: 9px; }
    .cell[aria-selected=true] { background: var(--hue); }
    .cell:hover { filter: brightness(1.3); }
    .cell:focus-visible { outline-offset: 0; z-index: 1; position: relative; }
    .message { align-self: center; font-size: 11px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
        color: var(--descrip-text, #999); }
    .message[data-wrong], .scale[data-wrong] { color: var(--wrong); }
    .presets { width: 18px; height: 16px; padding: 0; border: 0; border-radius: 4px; background: none; cursor: pointer;
        color: var(--descrip-text, #999); line-height: 1; }
    .presets:hover { background: color-mix(in srgb, var(--input-text, #ddd) 12%, transparent);
        color: var(--input-text, #ddd); }
    .scale { grid-column: 2; height: ${SCALE}px; align-self: start; font-size: 10px; line-height: 1;
        white-space: nowrap; overflow: hidden; text-overflow: ellipsis; color: var(--descrip-text, #999);
        border-radius: 3px; }
    ${MENU_CSS}
    ${TIP_CSS}
`);

/** Adds to a node the strips for `lists`, each { widget, stream, name, hue, final, presets }. */
export class Picker {
    #depth = null;
    #states = [];

    constructor(node, lists) {
        this.node = node;
        this.lists = lists;
        const { root, widget } = panel(node, "blocks_shown", {
            css: STYLE, height: lists.length * ROW + SCALE + 4, after: lists.at(-1).widget,
        });
        // Vue nodes show it together with the lists.
        widget.options.advanced = lists.every(list => widgetOf(node, list.widget)?.options?.advanced);
        this.tip = tip(root, root);
        this.menu = menu(root);
        this.strips = lists.map(list => new Strip(this, list));
        this.scale = element("div", { className: "scale", tabIndex: 0 });
        root.prepend(...lists.flatMap((list, at) => this.#row(list, at)), this.scale);
        this.#listen();
        this.#refresh();
    }

    /** Writes a strip's state into its list's widget. */
    write(list, state) {
        setValues([this.node, { [list.widget]: written(state, this.#depth, list.final) }]);
    }

    #row(list, at) {
        const name = element("span", { className: "name", textContent: TEXTS.stream[list.stream]() });
        const presets = element("button", { className: "presets", type: "button", textContent: "\u25be" });
        presets.ariaLabel = TEXTS.presetsOf(TEXTS.strip(list.name));
        presets.setAttribute("aria-haspopup", "menu");
        const isShort = !list.final && this.lists.some(({ final }) => final);
        this.strips[at].root.toggleAttribute("data-short", isShort);
        for (const each of [name, this.strips[at].root]) each.style.setProperty("--hue", list.hue);
        presets.addEventListener("pointerdown", event => event.stopPropagation());
        presets.addEventListener("keydown", event => {
            if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // the canvas uses them
        });
        presets.addEventListener("click", () => this.#offer(list, this.#states[at], presets));
        addTip(this.tip, presets, () => [TEXTS.presets()]);
        return [name, this.strips[at].root, presets];
    }

    #offer(list, { text, isFixed }, button) {
        const { left, bottom } = button.getBoundingClientRect();
        const same = text => written(read(text, this.#depth, list.presets, list.final), this.#depth, list.final);
        const now = same(text ?? "");
        this.tip.hide();
        this.menu.open(left, bottom + 2, Object.keys(list.presets).map(name => {
            const named = read(name, this.#depth, list.presets);
            return {
                text: name, isOff: isFixed || named.beyond.length > 0,
                isOn: text?.trim() === name || same(name) === now,
                run: () => setValues([this.node, { [list.widget]: name }]),
            };
        }));
    }

    #refresh() {
        this.#depth = depthOf(this.node);
        this.#states = this.lists.map(list => this.#read(list));
        this.#states.forEach((state, at) => this.strips[at].show(state));
        const beyond = this.#states.flatMap(state => state.beyond)[0];
        const { double, single, name } = this.#depth, last = double + single - 1;
        this.scale.toggleAttribute("data-wrong", beyond !== undefined);
        this.scale.textContent = beyond !== undefined ? TEXTS.beyond(beyond, last) : TEXTS.depth(double, single, name);
    }

    #read(list) {
        const isFixed = isLinked(this.node, list.widget);
        const text = isFixed ? setting(this.node, list.widget) : valueOf(this.node, list.widget);
        const isKnown = typeof text === "string";
        const found = read(isKnown ? text : "", this.#depth, list.presets, list.final);
        return { ...found, text, isFixed, depth: this.#depth, unread: isKnown ? "" : TEXTS.unread() };
    }

    #listen() {
        const { node } = this, refresh = () => this.#refresh();
        addTip(this.tip, this.scale, () => [this.scale.textContent]);
        watch(node, this.lists.map(list => list.widget), refresh);
        chain(node, "onConfigure", refresh);
        chain(node, "onConnectionsChange", () => queueMicrotask(() => node.graph && refresh()));
        keepUp(node, refresh, () => {
            this.tip.hide();
            this.menu.close();
        });
    }
}

const widgetOf = (node, name) => node.widgets.find(widget => widget.name === name);
