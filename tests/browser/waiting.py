"""Waits in a page for a condition, or until all pending work has ended, however busy the machine is.

The only file of the tests that may let time pass: tests/unit/test_waits.py forbids it elsewhere.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Found = TypeVar("Found")
WITHIN = 60  # seconds; far more than anything takes

# Follows pending timers and requests of the pack's scripts.
FOLLOW = """() => {
    const own = {}, open = new Map(), ends = { setTimeout: "clearTimeout", setInterval: "clearInterval" };
    const isOurs = () => new Error().stack.split("\\n")[3]?.includes("/extensions/flux-duet/");
    for (const [begin, end] of Object.entries(ends)) {
        [own[begin], own[end]] = [window[begin], window[end]];
        window[begin] = (run, after, ...given) => {
            if (!isOurs()) return own[begin].call(window, run, after, ...given);
            const id = own[begin].call(window, (...given) => {
                if (begin === "setTimeout") open.delete(id);
                run(...given);
            }, after, ...given);
            open.set(id, `${begin} ${after}`);
            return id;
        };
        window[end] = id => {
            open.delete(id);
            own[end].call(window, id);
        };
    }
    own.fetch = window.fetch;
    window.fetch = (...given) => {
        const request = own.fetch.call(window, ...given), address = String(given[0]?.url ?? given[0]);
        if (!address.includes("flux_duet")) return request;
        open.set(request, address);
        return request.finally(() => open.delete(request));
    };
    window.fluxDuetFollowed = { open, stop: () => Object.assign(window, own) };
}"""
# For several frames in a row, because an answer that has arrived may not have been read yet.
ENDED = """async until => {
    const { open } = window.fluxDuetFollowed;
    for (let idle = 0; idle < 8; idle = open.size ? 0 : idle + 1) {
        if (performance.timeOrigin + performance.now() > until) return [...open.values()];
        await new Promise(requestAnimationFrame);
    }
    return [];
}"""
# Whether an undo key takes effect: not in a text box, and not before the previous undo or redo has ended.
UNDO_IS_HEARD = """() => {
    const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
    return !tracker._restoringState && !tracker.changeCount
        && !["INPUT", "TEXTAREA"].includes(document.activeElement?.tagName);
}"""


def eventually(front, check: Callable[[], Found]) -> Found:
    """Calls `check` repeatedly until it raises no AssertionError; returns its result."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
        front.page.wait_for_timeout(50)


def becomes(front, read: Callable[[], Found], expected: Found) -> None:
    """Waits until `read()` equals `expected`."""

    def check():
        found = read()
        assert found == expected, f"{found!r} is not {expected!r}"

    eventually(front, check)


@contextmanager
def followed(front) -> Iterator[Callable[[], None]]:
    """`with followed(front) as ended:` follows the timers and requests that the pack begins inside.

    `ended()` waits until each of them has ended, so that nothing comes any more; raises AssertionError with what
    does not end.
    """
    front.page.evaluate(FOLLOW)

    def ended() -> None:
        left = front.page.evaluate(ENDED, 1000 * (time.time() + WITHIN))
        assert left == [], f"still going on after {WITHIN} s: {left}"

    try:
        yield ended
    finally:
        front.page.evaluate("() => window.fluxDuetFollowed.stop()")


def undo_is_heard(front) -> None:
    """Waits until Control+Z and Control+Y take effect."""
    front.page.wait_for_function(UNDO_IS_HEARD)
    front.still()
