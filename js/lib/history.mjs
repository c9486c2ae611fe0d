// The last results of a node, to flip through: two arrows, and which one of how many is shown. Kept until the page is
// closed; their pictures are on the server until it ends.

import { element } from "./dom.mjs";
import { t } from "./words.mjs";

const MOST = 8;
const TEXTS = {
    earlier: () => t("Show the previous run"),
    later: () => t("Show the next run"),
    which: (at, count) => t("run {at} of {count}", { at, count }),
    newest: () => t("latest run"),
};

export const HISTORY_CSS = `
    .history { display: flex; align-items: center; justify-content: flex-end; gap: 4px; font-size: 11px; }
    .history button { padding: 0 7px; line-height: 16px; }
    .history[hidden] { display: none; }
`;

/** Returns { root, add(output) } for `show(output)`, which is called when a result is added or chosen. */
export function history(show) {
    const results = [];
    let at = 0;
    const told = element("span", { className: "quiet", role: "status" });
    const step = (text, label, by) => {
        const made = element("button", { type: "button", textContent: text, title: label, "aria-label": label });
        made.addEventListener("click", () => go(at + by));
        return made;
    };
    const earlier = step("\u2039", TEXTS.earlier(), -1), later = step("\u203a", TEXTS.later(), 1);
    const root = element("div", { className: "history", hidden: true }, earlier, told, later);

    function go(to) {
        at = Math.min(Math.max(to, 0), results.length - 1);
        root.hidden = results.length < 2;
        earlier.disabled = at === 0;
        later.disabled = at === results.length - 1;
        told.textContent = later.disabled ? TEXTS.newest() : TEXTS.which(at + 1, results.length);
        show(results[at]);
    }

    return {
        root,
        add(output) {
            const text = JSON.stringify(output);
            if (!results.length || JSON.stringify(results.at(-1)) !== text) results.push(output);
            if (results.length > MOST) results.shift();
            go(results.length - 1);
        },
    };
}
