// A prompt's tokens as chips under the text box while it is typed, with their number and the encoder's limit.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { post, requester } from "./lib/requests.mjs";
import { element } from "./lib/dom.mjs";
import { chain, isPlaced, lives } from "./lib/life.mjs";
import { addTip } from "./lib/tip.mjs";
import { watch } from "./lib/widgets.mjs";
import { chips } from "./tokens/chips.mjs";
import { explainCount, explainItem, headline, strength, warnings } from "./tokens/explain.mjs";
import { flow } from "./tokens/flow.mjs";
import { promptPanel } from "./tokens/panel.mjs";
import { KINDS, promptOf, widgetsOf } from "./tokens/prompt.mjs";
import { TEXTS } from "./tokens/texts.mjs";

const QUIET = 150; // ms without a key press before a request is sent
const LOOK = 300; // ms between checks of another node's text, whose changes cause no event

app.registerExtension({
    name: "fluxduet.Tokens",
    nodeCreated(node) {
        if (KINDS.includes(node.comfyClass)) follow(node, tokenView(promptPanel(node)));
    },
});

/** Requests the tokens of the text that the node would encode, whenever it changes. */
function follow(node, view) {
    let wanted = null, looking = 0;
    const requests = requester(
        (prompt, signal) => post("/flux_duet/tokens", prompt.request, signal), shown, failed, QUIET,
    );

    function shown(answer, prompt) {
        if (prompt === wanted) view.show(prompt, answer);
    }

    function failed(error) {
        const isAway = error instanceof TypeError; // the type of fetch's errors
        view.say(isAway ? TEXTS.unreachable() : TEXTS.failed(error.message));
        wanted = null;
    }

    function look() {
        if (!isPlaced(node)) return stop();
        const prompt = promptOf(node);
        clearInterval(looking);
        looking = prompt.follows ? setInterval(look, LOOK) : 0;
        if (wanted && isSame(wanted, prompt)) return;
        wanted = prompt;
        if (!prompt.request) {
            requests.stop();
            view.say(TEXTS.linked());
            return;
        }
        view.wait();
        requests.want(prompt);
    }

    function start() {
        api.addEventListener("graphChanged", look);
        view.start();
        look();
    }

    function stop() {
        api.removeEventListener("graphChanged", look);
        clearInterval(looking);
        requests.stop();
        view.stop();
        wanted = null;
    }

    watch(node, widgetsOf(node), look);
    chain(node, "onConfigure", look);
    chain(node, "onConnectionsChange", () => queueMicrotask(look)); // the link is added after the event
    lives(node, start, stop);
}

function isSame(one, other) {
    const { request: a, ...settings } = one, { request: b, ...others } = other;
    if (!a !== !b || JSON.stringify(settings) !== JSON.stringify(others)) return false;
    return !a || Object.keys(a).every(name => a[name] === b[name]);
}

/** The panel's count and chips: { show(prompt, answer), say(message), wait, start, stop }. */
function tokenView({ count, meter, body, tip }) {
    let reading = null, prompt = null, notes = [], unknown = new Set();
    const list = chips(tip, {
        explain: item => explainItem(item, reading),
        strength: item => strength(item, reading),
        isUnknown: item => item.kind !== "space" && unknown.has(item.at),
    });
    const message = element("div", { className: "message", role: "status", textContent: TEXTS.waiting() });
    body.append(message, list.list, list.more);
    list.list.hidden = list.more.hidden = true;
    addTip(tip, count, () => (reading ? explainCount(prompt, reading, notes) : [message.textContent]));

    function show(requested, answer) {
        [prompt, reading, notes] = [requested, answer.readings[0], answer.notes];
        unknown = new Set(reading.unknown);
        showCount(count, meter, headline(reading, prompt), warnings(prompt, reading, notes).length > 0);
        message.hidden = true;
        list.list.hidden = false;
        delete list.list.dataset.old;
        delete count.dataset.old;
        list.show(flow(prompt.sent, reading, prompt.past));
    }

    function say(text) {
        reading = null;
        message.textContent = text;
        message.hidden = false;
        list.list.hidden = list.more.hidden = meter.hidden = true;
        count.replaceChildren();
        tip.hide();
    }

    function wait() {
        list.list.dataset.old = count.dataset.old = "";
        tip.hide();
    }
    return { show, say, wait, start: list.start, stop: list.stop };
}

function showCount(count, meter, { count: counted, pads, cut, share }, isWarned) {
    const parts = [element("b", { textContent: counted })];
    if (cut) parts.push(element("span", { className: "cut", textContent: cut }));
    else if (pads) parts.push(element("span", { textContent: pads }));
    if (isWarned) parts.push(element("span", { className: "warned", textContent: TEXTS.warned }));
    count.replaceChildren(...parts);
    meter.hidden = share === null;
    meter.firstChild.style.width = `${100 * (share ?? 0)}%`;
    meter.toggleAttribute("data-full", Boolean(cut));
}
