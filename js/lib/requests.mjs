// Requests to the pack's JSON routes.

import { api } from "../../../scripts/api.js";
import { t } from "./words.mjs";

const AGAIN = 1000; // milliseconds until a request to a busy server is repeated
class Busy extends Error {}

/**
 * POSTs JSON to one of the pack's routes and returns the response's JSON. Throws an Error with the server's message if
 * the request is refused, and Busy if it may be repeated.
 */
export async function post(route, body, signal) {
    const headers = { "Content-Type": "application/json" };
    const response = await api.fetchApi(route, { method: "POST", headers, body: JSON.stringify(body), signal });
    const answer = await response.json().catch(() => ({}));
    if (response.status === 503) throw new Busy(answer.error);
    if (!response.ok) throw new Error(answer.error ?? t("The server answered {status}.", { status: response.status }));
    return answer;
}

/**
 * Sends requests for a value that changes often: at most one every `pause` milliseconds, one at a time, and always for
 * the latest value. If the server is busy, the request is repeated later without an error.
 *
 * `request(what, signal)` returns a promise; `shown(answer, what)` and `failed(error)` are called in the order of the
 * requests. Returns { want, stop }.
 */
export function requester(request, shown, failed, pause = 60) {
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

/** The URL of a file that a node has returned: { filename, subfolder, type }. */
export function fileUrl(file) {
    return api.apiURL(`/view?${new URLSearchParams(file)}`);
}
