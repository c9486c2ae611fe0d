// One prompt for both encoders: a button that links the text boxes of a CLIP-L Encode and a T5 Encode. While they are
// linked, a change of one is copied to the other. Both stay ordinary widgets, and the workflow saves both texts, and the
// text that linking has replaced, which comes back when they are unlinked.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { element } from "./lib/dom.mjs";
import { chain, isPlaced, lives } from "./lib/life.mjs";
import { addTip } from "./lib/tip.mjs";
import { isLinked, setValues, valueOf, watch } from "./lib/widgets.mjs";
import { t } from "./lib/words.mjs";
import { KINDS, pairOf } from "./link/pair.mjs";
import { promptPanel } from "./tokens/panel.mjs";

const TEXTS = {
    linked: () => t("Linked"),
    free: () => t("Link prompts"),
    link: other => t("Click to use this prompt in {other} too. Its own text comes back when you unlink them.", { other }),
    unlink: other => t("This box and {other} have the same prompt. Click to unlink them.", { other }),
    back: (other, text) => t("{other} gets its own text back: {text}", { other, text }),
    both: () => t("Both keep this text."),
    why: {
        open: () => t("This prompt does not go to a Dual Prompt, so there is no second prompt to link."),
        alone: () => t("The other input of its Dual Prompt has no encode node, so there is no second prompt to link."),
        many: () => t("Prompts are blended or shared before Dual Prompt, so it is not clear which two to link."),
        fed: () => t("One of the two prompts comes from another node. Only prompts that are typed can be linked."),
    },
};
const LINKED = "flux_duet_linked"; // in both nodes' properties
const OWN = "flux_duet_own_text"; // in one's: the text that the other's has replaced
const SHORT = 120; // characters of a text in a tooltip
const ICON = `<svg width="12" height="12" viewBox="0 0 12 12" fill="none" stroke="currentColor" stroke-width="1.4"
    stroke-linecap="round" aria-hidden="true"><path d="M5 7 7 5M4.2 5.2 2.6 6.8a1.8 1.8 0 0 0 2.6 2.6l1.6-1.6M7.8 6.8
    9.4 5.2a1.8 1.8 0 0 0-2.6-2.6L5.2 4.2"/></svg>`;
const shown = new WeakMap(); // node -> function that updates its button
const drawn = new WeakMap(); // node -> its text and what was drawn from it, until the linked box has sent the same

app.registerExtension({
    name: "fluxduet.Link",
    nodeCreated(node) {
        if (KINDS.includes(node.comfyClass)) offer(node);
    },
});

function offer(node) {
    const { button, state } = makeButton(node);
    function show() {
        if (!isPlaced(node)) return stop();
        const other = partner(node);
        const linked = Boolean(other) && areLinked(node, other);
        state.textContent = linked ? TEXTS.linked() : other ? TEXTS.free() : "";
        button.setAttribute("aria-pressed", String(linked));
        button.setAttribute("aria-disabled", String(!other));
        button.ariaLabel = stateText(node).join(" ");
    }
    const start = () => api.addEventListener("graphChanged", show);
    const stop = () => api.removeEventListener("graphChanged", show);
    const later = () => queueMicrotask(show); // a link is added after its event, and a graph after its nodes

    shown.set(node, show);
    mirror(node);
    drawTogether(node);
    chain(node, "onConfigure", later);
    chain(node, "onConnectionsChange", later);
    lives(node, () => {
        start();
        later();
    }, stop);
}

function makeButton(node) {
    const { tools, tip } = promptPanel(node);
    const state = element("span");
    const button = element("button", { className: "link", type: "button" });
    button.innerHTML = ICON;
    button.append(state);
    tools.prepend(button);
    addTip(tip, button, () => stateText(node));
    button.addEventListener("click", () => {
        if (!partner(node)) return;
        toggle(node);
        tip.show(button, stateText(node));
    });
    return { button, state };
}

/** The node that is linked with this one, or could be; null if there is none. */
function partner(node) {
    const { other } = pairOf(node);
    return other && !isFed(node) && !isFed(other) ? other : null;
}

const isFed = node => isLinked(node, "text");
const areLinked = (node, other) => Boolean(node.properties[LINKED] && other.properties[LINKED]);

/** What the button does, or why it does nothing, as lines of a tooltip. */
function stateText(node) {
    const { other, why } = pairOf(node);
    if (why) return [TEXTS.why[why]()];
    if (!partner(node)) return [TEXTS.why.fed()];
    if (!areLinked(node, other)) return [TEXTS.link(other.title)];
    const replaced = [node, other].find(each => each.properties[OWN]);
    return [TEXTS.unlink(other.title), replaced ? TEXTS.back(replaced.title, shortened(replaced.properties[OWN]))
        : TEXTS.both()];
}

const shortened = text => text.length > SHORT ? `${text.slice(0, SHORT)} ...` : text;

/** Links or unlinks both nodes, as one step of undo. Text that was typed before is a separate step. */
function toggle(node) {
    const other = partner(node);
    setValues(); // an empty step, which records the changes so far
    app.canvas.emitBeforeChange();
    try {
        if (areLinked(node, other)) unlink(node, other);
        else link(node, other);
    } finally {
        app.canvas.emitAfterChange();
    }
    showAgain(node, other);
}

function link(node, other) {
    const [text, theirs] = [valueOf(node, "text"), valueOf(other, "text")];
    setLinked(true, node, other);
    if (theirs && theirs !== text) other.properties[OWN] = theirs;
    setValues([other, { text }]);
}

/** Gives the text back that linking has replaced; without one, both keep the same. */
function unlink(...nodes) {
    const replaced = nodes.map(node => [node, node.properties[OWN]]).filter(([, text]) => text);
    setLinked(false, ...nodes);
    setValues(...replaced.map(([node, text]) => [node, { text }]));
}

function setLinked(linked, ...nodes) {
    for (const node of nodes) {
        delete node.properties[OWN];
        if (linked) node.properties[LINKED] = true;
        else delete node.properties[LINKED];
    }
}

function showAgain(...nodes) {
    for (const node of nodes) shown.get(node)?.();
}

/** Copies changes of this node's text to the other's while they are linked. */
function mirror(node) {
    let last = valueOf(node, "text");
    const take = () => { last = valueOf(node, "text"); };
    chain(node, "onConfigure", take);
    watch(node, ["text"], () => {
        const before = last;
        take();
        // While a workflow is loaded, each node keeps its own text.
        if (before === last || app.configuringGraph || !node.properties[LINKED] || !isPlaced(node)) return;
        const other = partner(node);
        if (!other || !areLinked(node, other)) return;
        const theirs = valueOf(other, "text");
        if (theirs === last) return;
        if (theirs !== before) { // it was changed in another way; that text must not be lost
            setLinked(false, node, other);
            showAgain(node, other);
            return;
        }
        other.widgets.find(widget => widget.name === "text").value = last;
        other.setDirtyCanvas?.(true, true);
    });
}

/** Sends the same choice of a {wildcard} to both encoders: the front end draws one for each box. */
function drawTogether(node) {
    const widget = node.widgets.find(widget => widget.name === "text");
    const draw = widget.serializeValue;
    if (!draw) return;
    widget.serializeValue = async function (saved, index) {
        const other = node.graph && partner(node), text = widget.value;
        if (!other || !areLinked(node, other)) return draw.call(this, saved, index);
        const theirs = drawn.get(other);
        drawn.delete(other);
        if (theirs?.text !== text) { // this box is the first of the two
            const sent = await draw.call(this, saved, index);
            drawn.set(node, { text, sent });
            return sent;
        }
        if (saved?.widgets_values) saved.widgets_values[index] = theirs.sent;
        return theirs.sent;
    };
}
