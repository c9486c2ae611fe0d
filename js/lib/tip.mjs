// A tooltip of several lines, in a panel's shadow root, on top of everything else.

import { element } from "./dom.mjs";

export const TIP_CSS = `
    .tip { position: fixed; inset: auto; margin: 0; padding: 6px 9px; max-width: 300px; pointer-events: none;
        font: 12px/1.45 Inter, system-ui, sans-serif; color: var(--input-text, #ddd);
        background: var(--comfy-menu-bg, #222); border: 1px solid var(--border-color, #4e4e4e); border-radius: 6px;
        box-shadow: 0 4px 14px rgb(0 0 0 / .35); }
    .tip div:not(:first-child) { color: var(--descrip-text, #999); margin-top: 2px; }
`;
const AWAY = 6; // pixels from its element

/**
 * Creates a tooltip in `root`. Returns { show(about, lines), hide }; the first line is the title. It stands beside the
 * element that it is about, and above or below `around` if given, so that it hides nothing of that.
 */
export function tip(root, around = null) {
    const box = element("div", { className: "tip", popover: "manual", role: "tooltip" });
    root.append(box);

    function show(about, lines) {
        if (!about.isConnected || !lines.length) return;
        box.replaceChildren(...lines.map(line => element("div", { textContent: line })));
        if (!box.matches(":popover-open")) box.showPopover();
        const { left, width } = about.getBoundingClientRect();
        const { top, bottom } = (around ?? about).getBoundingClientRect();
        const x = Math.min(Math.max(4, left + width / 2 - box.offsetWidth / 2), innerWidth - box.offsetWidth - 4);
        const below = bottom + AWAY;
        const y = below + box.offsetHeight < innerHeight ? below : top - AWAY - box.offsetHeight;
        Object.assign(box.style, { left: `${x}px`, top: `${y}px` });
    }

    function hide() {
        if (box.matches(":popover-open")) box.hidePopover();
    }
    return { show, hide };
}

/** Shows the result of `lines()` while the pointer or the focus is on `about`. */
export function addTip(tip, about, lines) {
    for (const event of ["pointerenter", "focus"]) about.addEventListener(event, () => tip.show(about, lines()));
    for (const event of ["pointerleave", "blur"]) about.addEventListener(event, tip.hide);
}
