// Requests for what the user wants to see now.

import { api } from "../../../scripts/api.js";

const AGAIN = 1000; // milliseconds until a busy server is asked again
class Busy extends Error {}

/**
 * POSTs JSON to a route of ours; gives its JSON, and throws an Error with its words where it is refused: Busy where it
 * may be asked again.
 */
export async function ask(route, body, signal) {
    const headers = { "Content-Type": "application/json" };
    const answer = await api.fetchApi(route, { method: "POST", headers, body: JSON.stringify(body), signal });
    const told = await answer.json().catch(() => ({}));
    if (answer.status === 503) throw new Busy(told.error);
    if (!answer.ok) throw new Error(told.error ?? `The server answered ${answer.status}.`);
    return told;
}

/**
 * Asks for what is wanted, again and again while that changes: not more often than every `pause` milliseconds, one
 * request at a time, and always for what was wanted last. A busy server is asked again a little later, quietly.
 *
 * `request(what, signal)` gives a promise; `shown(answer, what)` and `failed(error)` are told in the order of asking.
 * Returns { want, stop }.
 */
export function asker(request, shown, failed, pause = 60) {
    let wanted = null, timer = 0, running = null;

    async function next() {
        timer = 0;
        if (running || wanted === null) return;
        const now = wanted, controller = running = new AbortController();
        wanted = null;
        try {
            const answer = await request(now, controller.signal);
            if (!controller.signal.aborted) shown(answer, now);
        } catch (error) {
            if (error instanceof Busy && running === controller) {
                running = null;
                wanted ??= now;
                clearTimeout(timer);
                timer = setTimeout(next, AGAIN);
                return;
            }
            if (!controller.signal.aborted) failed(error);
        }
        if (running !== controller) return; // stopped meanwhile
        running = null;
        next();
    }

    return {
        want(what) {
            wanted = what;
            timer ||= setTimeout(next, pause);
        },
        stop() {
            clearTimeout(timer);
            running?.abort();
            wanted = running = null;
            timer = 0;
        },
    };
}

/** The address of a file that the server's nodes have named: { filename, subfolder, type }. */
export function fileUrl(file) {
    return api.apiURL(`/view?${new URLSearchParams(file)}`);
}
