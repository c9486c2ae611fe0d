"""Waiting in a page for what is to come, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
WITHIN = 30  # seconds; what comes at all comes sooner


def eventually(front, check: Callable[[], Found]) -> Found:
    """What `check` gives, asked again until it holds: until no assertion in it fails any more."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
        front.page.wait_for_timeout(50)


def becomes(front, read: Callable[[], Found], expected: Found) -> None:
    """Until `read` gives this."""
    def check():
        found = read()
        assert found == expected, f"{found!r} is not {expected!r}"

    eventually(front, check)
