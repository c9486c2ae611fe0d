"""No test waits a fixed time: on a busy machine it is too short, and on any other too long."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# Files that may wait a fixed time, and why.
MAY = {
    "browser/waiting.py": "asks again until it holds",
    "comfy/test_store.py": "the moment of a kill, which no assertion waits for",
    "server/ray_cluster.py": "asks again until Ray has started",
    "unit/test_waits.py": "these rules",
}
WAITS = {
    r"wait_for_timeout\(": "use `eventually`, `becomes`, `followed` or `FrontEnd.still`",
    r"\bsleep\(": "wait for what is to come: an event, a file, an answer",
    r"new Promise\(\s*\(?\w+\)?\s*=>\s*\{?\s*setTimeout\(": "await what is to come, or frames: requestAnimationFrame",
}


def waits(text: str) -> list[str]:
    """The faults in a test's source, one line each."""
    return [
        f"line {at}: {line.strip()[:60]}: {advice}"
        for at, line in enumerate(text.splitlines(), 1)
        for pattern, advice in WAITS.items()
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("path", sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py")))
def test_no_fixed_wait(path):
    found = waits((TESTS / path).read_text(encoding="utf-8"))
    assert bool(found) == (path in MAY), found or f"{path} waits no more: take it out of MAY"


@pytest.mark.parametrize(
    "line",
    [
        "    front.page.wait_for_timeout(300)",
        "time.sleep(0.2)",
        "await asyncio.sleep(1)",
        "sleep(2)",
        "await new Promise(done => setTimeout(done, 100));",
        "new Promise((done) => { setTimeout(done, 1); })",
    ],
)
def test_rules_bite(line):
    assert len(waits(line)) == 1


@pytest.mark.parametrize(
    "line", ["becomes(front, read, 3)", "a (grandmother:1.2) asleep", "await new Promise(requestAnimationFrame);"]
)
def test_and_only_then(line):
    assert waits(line) == []
