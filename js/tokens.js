// What each encoder makes of a prompt, while it is typed: its tokens as chips under the box, counted against the limit.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { ask, asker } from "./lib/asking.mjs";
import { element } from "./lib/dom.mjs";
import { chain, isPlaced, lives } from "./lib/life.mjs";
import { tells } from "./lib/tip.mjs";
import { watch } from "./lib/widgets.mjs";
import { chips } from "./tokens/chips.mjs";
import { explainCount, explainItem, headline, strength, warnings } from "./tokens/explain.mjs";
import { flow } from "./tokens/flow.mjs";
import { promptPanel } from "./tokens/panel.mjs";
import { KINDS, promptOf, widgetsOf } from "./tokens/prompt.mjs";
import { TEXTS } from "./tokens/texts.mjs";

const QUIET = 150; // ms without a key before the server is asked
const LOOK = 300; // ms between looks at another node's text, which tells nobody that it changes

app.registerExtension({
    name: "fluxduet.Tokens",
    nodeCreated(node) {
        if (KINDS.includes(node.comfyClass)) follow(node, tokenView(promptPanel(node)));
    },
});

/** Asks for the tokens of what the node would encode, whenever that changes. */
function follow(node, view) {
    let wanted = null, looking = 0;
    const asking = asker((prompt, signal) => ask("/flux_duet/tokens", prompt.request, signal), shown, failed, QUIET);

    function shown(answer, prompt) {
        if (prompt === wanted) view.show(prompt, answer);
    }

    function failed(error) {
        const isAway = error instanceof TypeError; // what fetch throws
        view.say(TEXTS.failed(isAway ? TEXTS.unreachable : error.message));
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
            asking.stop();
            view.say(TEXTS.linked);
            return;
        }
        view.wait();
        asking.want(prompt);
    }

    function start() {
        api.addEventListener("graphChanged", look);
        view.start();
        look();
    }

    function stop() {
        api.removeEventListener("graphChanged", look);
        clearInterval(looking);
        asking.stop();
        view.stop();
        wanted = null;
    }

    watch(node, widgetsOf(node), look);
    chain(node, "onConfigure", look);
    chain(node, "onConnectionsChange", () => queueMicrotask(look)); // the link itself comes after the event
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
    const message = element("div", { className: "message", role: "status", textContent: TEXTS.waiting });
    body.append(message, list.list);
    list.list.hidden = true;
    tells(tip, count, () => (reading ? explainCount(prompt, reading, notes) : [message.textContent]));

    function show(asked, answer) {
        [prompt, reading, notes] = [asked, answer.readings[0], answer.notes];
        unknown = new Set(reading.unknown);
        showCount(count, meter, headline(reading, prompt.past), warnings(prompt, reading, notes).length > 0);
        message.hidden = true;
        list.list.hidden = false;
        delete list.list.dataset.old;
        delete count.dataset.old;
        list.show(flow(prompt.request.text, reading, prompt.past));
    }

    function say(text) {
        reading = null;
        message.textContent = text;
        message.hidden = false;
        list.list.hidden = meter.hidden = true;
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
    const said = [element("b", { textContent: counted })];
    if (cut) said.push(element("span", { className: "cut", textContent: cut }));
    else if (pads) said.push(element("span", { textContent: pads }));
    if (isWarned) said.push(element("span", { className: "warned", textContent: TEXTS.warned }));
    count.replaceChildren(...said);
    meter.hidden = share === null;
    meter.firstChild.style.width = `${100 * (share ?? 0)}%`;
    meter.toggleAttribute("data-full", Boolean(cut));
}
