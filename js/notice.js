// What nodes say during and after a run, at their foot: the front end's own preview breaks words and takes its room
// from the prompt boxes. An error's text is shown there and in the front end's message, which hides it.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { noticeOf, removeNative } from "./lib/notice.mjs";
import { nodeAt } from "./lib/walk.mjs";

const [, , FOLDER] = new URL(import.meta.url).pathname.split("/"); // /extensions/FOLDER/notice.js
const OVERLAY = "[data-testid=error-overlay-messages] p"; // the front end's message
const MOST = 12; // lines of an error's text in it
const FRAMES = 30; // until the front end has shown its message
const isOurs = node => node?.comfyClass?.startsWith("FluxDuet");
const failed = new Set(); // nodes that show an error

app.registerExtension({
    name: "fluxduet.Notice",

    setup() {
        api.addEventListener("progress_text", ({ detail }) => say(detail));
        api.addEventListener("execution_error", ({ detail }) => fail(detail));
        api.addEventListener("execution_start", forget);
    },

    nodeCreated(node) {
        if (!isOurs(node)) return;
        const before = node.onExecuted;
        node.onExecuted = function (output) {
            before?.call(this, output);
            finish(node, output);
        };
    },

    loadedGraphNode(node) {
        const output = isOurs(node) && app.nodeOutputs?.[node.id];
        if (output) finish(node, output);
    },
});

/** A node's text during its run; after it, that of its output. Nodes with a panel of results show theirs in it. */
function say({ nodeId, text }) {
    const node = nodeAt(nodeId);
    if (!isOurs(node)) return;
    queueMicrotask(() => { // the front end adds its preview in the same event
        removeNative(node);
        noticeOf(node).show(text, node.fluxDuetResult ? "report" : "warning");
    });
}

function finish(node, output) {
    removeNative(node);
    const text = node.fluxDuetResult ? "" : output?.text?.join("\n") ?? "";
    failed.delete(node);
    noticeOf(node).show(text);
}

function forget() {
    for (const node of failed) noticeOf(node).clear();
    failed.clear();
}

/** Shows the text of an error that this pack raised, in one of its own nodes or in another one. */
async function fail({ node_id, node_type, exception_message, traceback }) {
    const isRaised = traceback?.some(line => line.includes(`/${FOLDER}/`) || line.includes(`\\${FOLDER}\\`));
    const node = nodeAt(node_id), text = exception_message?.trim();
    if (!text || !(node_type?.startsWith("FluxDuet") || isRaised)) return;
    if (isOurs(node)) {
        noticeOf(node).show(text, "error");
        failed.add(node);
    }
    if (await replaced(text)) return;
    app.extensionManager.toast.add({ severity: "error", summary: node?.title ?? node_type, detail: text });
}

/** Replaces the general sentence in the front end's message, once that is there; returns whether it was. */
async function replaced(text) {
    for (let frame = 0; frame < FRAMES; frame++) {
        await new Promise(requestAnimationFrame);
        /** @type {HTMLElement | null} */
        const shown = document.querySelector(OVERLAY);
        if (!shown) continue;
        shown.textContent = text;
        shown.style.webkitLineClamp = String(MOST);
        return true;
    }
    return false;
}
