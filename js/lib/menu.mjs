// A menu on top of everything else, in the panel's shadow root.

import { element } from "../lib/dom.mjs";

export const MENU_CSS = `
    .menu { position: fixed; inset: auto; margin: 0; padding: 4px; min-width: 150px; max-width: 280px; max-height: 60vh;
        overflow: hidden auto; font: 12px/1.4 Inter, system-ui, sans-serif; color: var(--input-text, #ddd);
        background: var(--comfy-menu-bg, #222); border: 1px solid var(--border-color, #4e4e4e); border-radius: 6px;
        box-shadow: 0 4px 14px rgb(0 0 0 / .35); }
    .menu button { position: relative; display: block; width: 100%; padding: 4px 8px 4px 24px; border: 0; border-radius: 4px; background: none;
        text-align: left; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; cursor: pointer; }
    .menu button:hover, .menu button:focus-visible { background: var(--border-color, #4e4e4e); outline: none; }
    .menu button:disabled { opacity: .45; background: none; cursor: default; }
    .menu button[aria-checked=true]::before { content: "\\2713"; position: absolute; left: 8px; }
    .menu hr { border: 0; border-top: 1px solid var(--border-color, #4e4e4e); margin: 4px 0; }
`;

/** Returns { open(x, y, items), close, isOpen } for `root`. An item is { text, run, isOff, isOn }; null is a separator. */
export function menu(root) {
    const box = element("div", { className: "menu", popover: "auto", role: "menu" });
    root.append(box);
    const close = () => box.matches(":popover-open") && box.hidePopover();

    function button({ text, run, isOff, isOn }) {
        const role = isOn === undefined ? "menuitem" : "menuitemradio";
        const made = element("button", { type: "button", role, textContent: text, title: text });
        made.disabled = Boolean(isOff);
        if (isOn !== undefined) made.setAttribute("aria-checked", String(isOn));
        made.addEventListener("click", () => {
            close();
            run();
        });
        return made;
    }
    function open(x, y, items) {
        box.replaceChildren(...items.map(item => item ? button(item) : element("hr")));
        box.showPopover();
        const left = Math.max(4, Math.min(x, innerWidth - box.offsetWidth - 4));
        const top = Math.max(4, Math.min(y, innerHeight - box.offsetHeight - 4));
        Object.assign(box.style, { left: `${left}px`, top: `${top}px` });
        box.querySelector("button:not(:disabled)")?.focus();
    }
    box.addEventListener("keydown", event => {
        event.stopPropagation(); // the canvas has its own keyboard commands
        const buttons = [...box.querySelectorAll("button:not(:disabled)")];
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const at = buttons.indexOf(box.getRootNode().activeElement);
        buttons[(at + step + buttons.length) % buttons.length]?.focus();
    });
    for (const kind of ["pointerdown", "dblclick", "contextmenu"]) {
        box.addEventListener(kind, event => event.stopPropagation());
    }
    return { open, close, isOpen: () => box.matches(":popover-open") };
}
