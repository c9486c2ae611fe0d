"""Random requests to the pack's routes on a real server, and how long other routes take meanwhile."""

import json
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from ..server import OPENER, Server
from . import inputs, others
from .figures import LONGEST, Figures, Timer

REFUSALS = (400, 404, 413, 415, 503)  # valid statuses besides 200
CROWD = 12  # simultaneous requests, more than the routes process and queue


class Routes:
    """The pack's routes on one server; inside `with`, other routes get requests all the time."""

    def __init__(self, server: Server, figures: Figures):
        self.server, self.figures = server, figures
        self._process = psutil.Process(server.process.pid)
        self._asked: list[tuple[float, float]] = []  # (start, end) of requests to our routes

    def spent(self) -> float:
        """Processor seconds of the server so far."""
        return others.spent(self._process)

    def __enter__(self) -> "Routes":
        self.sent("/flux_duet/tokens", b'{"text": "a"}', {"Content-Type": "application/json"})  # builds tokenizers
        command = [sys.executable, str(Path(others.__file__)), self.server.url, str(self.server.process.pid)]
        self._other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Read all the time, so that the process never blocks.
        self._reading = ThreadPoolExecutor(1)
        self._told = self._reading.submit(self._other.stdout.readlines)
        return self

    def __exit__(self, *_) -> None:
        self._other.stdin.close()
        lines = self._told.result()
        self._reading.shutdown()
        self._other.wait()
        self._other.stdout.close()
        for line in lines:
            start, took, processor, status = map(float, line.split())
            if status != 200:
                self.figures.fault(f"another route answered {status:.0f}")
            heap = self.figures.meanwhile if _meets(self._asked, start, start + took) else self.figures.quiet
            heap.note(took, processor)

    def ask_one(self, rng: random.Random, most: int) -> None:
        """Sends one random request: it must succeed, or be refused with a JSON error message."""
        route, body, headers = inputs.request(rng, most)
        timer, start = Timer(self.spent), time.monotonic()
        status, answer = self.sent(route, body, headers)
        self._asked.append((start, time.monotonic()))
        self.figures.took(route, *timer.read(), f"{len(body):,} bytes")
        self._judge(route, body, headers, status, answer)

    def ask_many(self, rng: random.Random, most: int) -> None:
        """Sends so many requests at once that all threads are busy and some requests get status 503."""
        asked = [inputs.request(rng, most) for _ in range(CROWD)]
        start = time.monotonic()
        with ThreadPoolExecutor(CROWD) as pool:
            answers = list(pool.map(lambda one: self.sent(*one), asked))
        self._asked.append((start, time.monotonic()))
        for one, answer in zip(asked, answers, strict=True):
            self._judge(*one, *answer)

    def _judge(self, route: str, body: bytes, headers: dict[str, str], status: int, answer: bytes) -> None:
        self.figures.tried[route] += 1
        if status == 200:
            return
        self.figures.refused[route] += 1
        try:
            message = json.loads(answer)["error"]
        except (ValueError, TypeError, KeyError):
            message = ""
        if status not in REFUSALS or not isinstance(message, str) or not 0 < len(message) <= LONGEST:
            self.figures.fault(f"{route}: {status} {answer!r:.100} for {body!r:.100} {headers}")

    def sent(self, route: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """(HTTP status, response)"""
        try:
            request = urllib.request.Request(self.server.url + route, body, headers)
            with OPENER.open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def _meets(spans: list[tuple[float, float]], start: float, end: float) -> bool:
    """Whether one of the consecutive spans overlaps `start` to `end`."""
    before = bisect_left(spans, (end,))
    return before > 0 and spans[before - 1][1] > start
