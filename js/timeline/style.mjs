// The timeline's style sheet.

import { styles } from "../lib/dom.mjs";
import { MENU_CSS } from "../lib/menu.mjs";
import { TIP_CSS } from "../lib/tip.mjs";

export const HEIGHT = 100;

export const STYLE = styles(`
    :host { --wrong: color-mix(in srgb, var(--error-text, #ff5a5a) 78%, var(--input-text, #ddd)); }
    .panel { display: grid; grid-template: 74px 18px / 42px 1fr; gap: 2px 6px; padding: 3px 8px; border-radius: 6px;
        background: var(--comfy-input-bg, #222); user-select: none; }
    .names { display: flex; flex-direction: column; gap: 4px; align-items: stretch; }
    .names > span { height: 26px; display: flex; align-items: center; gap: 5px; font-size: 11px; font-weight: 600; }
    .names > span::before { content: ""; width: 3px; height: 14px; border-radius: 2px; background: var(--hue); }
    .unit { height: 16px; padding: 0; border: 0; border-radius: 3px; background: none; text-align: left;
        font-size: 10px; color: var(--descrip-text, #999); cursor: pointer; text-decoration: underline dotted;
        text-underline-offset: 3px; }
    .unit:hover { color: var(--input-text, #ddd); }
    .lanes { position: relative; display: flex; flex-direction: column; gap: 4px; min-width: 0; }
    .track { position: relative; height: 26px; border-radius: 4px; touch-action: none;
        background: color-mix(in srgb, var(--input-text, #ddd) 9%, transparent); }
    .segment { position: absolute; inset: 0 auto; display: flex; align-items: center; gap: 5px; padding: 0 5px 0 7px;
        overflow: hidden; white-space: nowrap; border-radius: 4px; font-size: 11px; color: #fff; cursor: default;
        background: var(--fill); border: 1px solid rgb(255 255 255 / .14); }
    .segment:focus-visible { outline-offset: 0; z-index: 2; }
    .segment b { font-variant-numeric: tabular-nums; }
    .segment .words { min-width: 0; overflow: hidden; text-overflow: ellipsis; opacity: .92; }
    .segment[data-bad] { border: 1px dashed var(--wrong); color: var(--wrong);
        background: none; }
    .segment[data-idle] { left: auto !important; right: 0; min-width: 46px; z-index: 3; padding: 0 5px; color: #fff;
        justify-content: center; background: color-mix(in srgb, var(--wrong) 55%, #10151a); border: 1px dashed #fff; }
    .segment .ramp { position: absolute; inset: 0 auto 0 0;
        background: linear-gradient(to bottom right, var(--before) 49.4%, rgb(255 255 255 / .55) 49.8% 50.2%,
            var(--fill) 50.6%); }
    .segment .space { flex: none; }
    .more { display: none; flex: none; margin-left: auto; padding: 0 3px; height: 16px; line-height: 10px; border: 0;
        border-radius: 3px; color: #fff; background: rgb(0 0 0 / .3); cursor: pointer; }
    .segment:hover .more, .segment:focus-visible .more { display: block; }
    .grip { position: absolute; top: 0; bottom: 0; width: 11px; margin-left: -6px; cursor: ew-resize; z-index: 3; }
    .grip::after { content: ""; position: absolute; inset: 4px 4px; border-radius: 2px; background: #fff; opacity: 0; }
    .grip:hover::after, .grip[data-held]::after { opacity: .95; }
    .ease { position: absolute; top: 0; width: 11px; height: 11px; margin-left: -5px; z-index: 4; cursor: ew-resize;
        opacity: 0; }
    .ease::before { content: ""; position: absolute; inset: 2px; border-radius: 50%; background: #fff;
        box-shadow: 0 0 0 1px rgb(0 0 0 / .4); }
    .ease[data-none] { margin-left: 5px; }
    .ease[data-none]::before { inset: 2px 3px 3px 0; border-radius: 1px; clip-path: polygon(0 0, 100% 0, 0 100%); }
    .track:hover .ease, .ease[data-held] { opacity: .9; }
    .ease:hover, .ease[data-held] { transform: scale(1.2); opacity: 1; }
    .track[data-fixed] :is(.grip, .ease, .more) { display: none; }
    .message { height: 100%; display: flex; align-items: center; padding: 0 8px; font-size: 11px; line-height: 1.15;
        overflow: hidden; border-radius: 4px; color: var(--descrip-text, #999); }
    .message[data-wrong] { color: var(--wrong);
        box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--wrong) 60%, transparent); }
    .message span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
    .ruler { position: relative; height: 16px; font-size: 10px; color: var(--descrip-text, #999);
        font-variant-numeric: tabular-nums; }
    .ruler .ticks { position: absolute; inset: -2px 0 auto; height: 3px; }
    .ruler span { position: absolute; top: 2px; white-space: nowrap; transform: translateX(-50%); }
    .ruler span:first-of-type { transform: none; }
    .ruler span[data-end] { transform: translateX(-100%); }
    .guide { position: absolute; inset: 0 auto 14px; width: 1px; background: var(--input-text, #ddd); opacity: .6;
        pointer-events: none; z-index: 5; }
    .foot { grid-column: 1 / 3; min-width: 0; height: 16px; font-size: 11px; color: var(--descrip-text, #999);
        white-space: nowrap; overflow: hidden; text-overflow: ellipsis; border-radius: 3px; }
    .foot[data-wrong] { color: var(--wrong); }
    [hidden] { display: none !important; }
    ${MENU_CSS}
    ${TIP_CSS}
`);
