"""Odd input by the thousand: into the parsers, and into the routes of a real server. Runs inside the environment.

    python dev.py fuzz --minutes 10 --seed 3

Every answer must be a result or one of our own messages, none may take over a second, and while the routes are asked,
no other one may take over a tenth. Prints its figures; ends with 1 where something did not hold. The same seed gives
the same inputs, in the same order.
"""

import argparse
import json
import random
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..nodes.condition.place.blocks import Blocks
from ..nodes.condition.time import timeline
from ..nodes.encode.load import layout
from ..nodes.encode.text import weights
from ..nodes.probe import phrases
from ..nodes.probe.grid.prompts import listed
from . import say
from .server import OPENER, Server

SECONDS, OTHERS_SECONDS = 1.0, 0.1  # the most that an input, and another route meanwhile, may take
TOLD = (400, 404, 413, 415, 503)  # what a route answers besides 200
ATOMS = ("a", "red ", "(", ")", "((", "))", ":", ":1.5)", ":nan)", ":1e999)", "(16:9)", "\\(", "\\", "\n", "\t", " ",
         "@", "\n@", "@8 ", "@40%..60% ", "@s0.7 ", "..", "%", "---\n", '""', "0", "9", "-", ",", "0-", "double",
         "final", "embedding:", "embedding:a ", "<", "[", "\0", "\u0301", "\u0323", "\u200d", "\ufe0f", "\U0001f98a",
         "\u1112", "\u0e31", "\u0663", "\ufb01", "\u0130", "\u2028", "\x1c")  # fmt: skip
ODD = (None, True, -1, 0, 0.5, 10**400, -(10**400), 1e308, "", "a", [], {}, [[[]]], "9" * 5000)


@dataclass
class Figures:
    """What was tried, what was refused in our words, and what went wrong."""

    tried: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "nothing")
    others: list[float] = field(default_factory=list)  # seconds that other routes took meanwhile

    def took(self, seconds: float, what: str) -> None:
        self.slowest = max(self.slowest, (seconds, what))

    def fault(self, what: str) -> None:
        self.faults.append(what[:300])

    def lines(self) -> list[str]:
        """The figures as they are printed."""
        others = f"; other routes at most {1000 * max(self.others):.0f} ms" if self.others else ""
        return [
            *(f"{kind}: {count:,} tried, {self.refused[kind]:,} refused" for kind, count in sorted(self.tried.items())),
            f"{sum(self.tried.values()):,} inputs, {len(self.faults)} faults; the slowest took {self.slowest[0]:.2f} s "
            f"({self.slowest[1]}){others}",
            *self.faults[:20],
        ]

    @property
    def held(self) -> bool:
        in_time = self.slowest[0] <= SECONDS and max(self.others, default=0) <= OTHERS_SECONDS
        return in_time and not self.faults


# ---- inputs


def text(rng: random.Random, most: int) -> str:
    """Some atoms, each alone, or in a run of up to `most` characters."""
    parts = []
    for _ in range(rng.randint(0, 12)):
        atom = rng.choice(ATOMS)
        parts.append(atom * rng.choice((1, 1, 1, 2, 3, 70, 600, most // len(atom))))
    return "".join(parts)[:most]


def shapes(rng: random.Random, most: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a small T5 encoder, some of them gone, others with a number that they should not have."""
    names = [f"encoder.block.{block}.layer.{layer}" for block in range(2) for layer in ("0.SelfAttention.q", "0.x")]
    names += ["shared", "encoder.final_layer_norm", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
              "text_model.encoder.layers.0.mlp.fc1", "double_blocks.0.x"]  # fmt: skip
    numbers = ("7", "999", "1000", "99999999", "9" * 5000, "-1", "\u0663", "")
    changed = (name.replace("0", rng.choice(numbers), 1) if rng.random() < 0.3 else name for name in names)
    return {f"{name}.weight": (4, 4) for name in changed if rng.random() < 0.9}


def request(rng: random.Random, most: int) -> tuple[str, bytes, dict[str, str]]:
    """A route of the pack's, a body and headers."""
    fields = {
        "tokens": {"text": text(rng, most), "clip_positions": 77, "t5_weights": "off", "length": "official 256"},
        "sigmas": {"steps": 20, "denoise": 1.0, "shift": 1.15, "mu": 1.0, "sampler": "euler", "width": 1024},
        "heatmap": {"name": "0" * 32, "first": 0, "last": 9, "head": 0, "blocks": text(rng, 60)},
    }
    route = rng.choice(sorted(fields))
    asked = {name: value for name, value in fields[route].items() if name in ("text", "name") or rng.random() < 0.5}
    if rng.random() < 0.4:
        asked[rng.choice([*fields[route], "other"])] = rng.choice(ODD)
    body = json.dumps(asked).encode()
    if rng.random() < 0.1:
        body = body[: rng.randint(0, len(body))]
    headers = {"Content-Type": rng.choice(("application/json",) * 9 + ("text/plain",))}
    if rng.random() < 0.1:
        headers["Content-Encoding"] = rng.choice(("gzip", "rot13", "identity"))
    return f"/flux_duet/{route}", body, headers


# ---- what they go into


def read_prompt(given: str) -> None:
    for strict in (False, True):
        prompt = weights.parse.__wrapped__(given, strict)
        weights.clip_notes(prompt, prompt.groups[:5])
        weights.t5_notes(prompt, weights.ATTENTION)
    list(phrases.words(given))
    phrases.find(given, given[:20])


def read_blocks(given: str) -> None:
    Blocks.parse(given).within(19, 38)


def read_names(given: dict) -> None:
    layout.check(given, layout.T5, "odd.safetensors")


PARSERS: dict[str, tuple[Callable, Callable]] = {
    "prompts": (text, read_prompt),
    "timelines": (lambda rng, most: text(rng, most) + f"\n@{rng.randint(0, 99)}" * rng.randint(0, 30), timeline.parse),
    "lists of prompts": (text, listed),
    "lists of blocks": (lambda rng, most: text(rng, 200), read_blocks),
    "names of tensors": (shapes, read_names),
}


def parse_one(figures: Figures, kind: str, rng: random.Random, most: int) -> None:
    """One odd input into one parser: it must give a result, or raise a ValueError by a `raise` of ours."""
    make, read = PARSERS[kind]
    given = make(rng, most)
    figures.tried[kind] += 1
    start = time.perf_counter()
    try:
        read(given)
    except ValueError as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        figures.refused[kind] += 1
        if not where.line.startswith("raise "):
            figures.fault(f"{kind}: {error!r} by {where.filename}:{where.lineno} for {given!r:.100}")
    except Exception as error:
        figures.fault(f"{kind}: {error!r:.100} for {given!r:.100}")
    figures.took(time.perf_counter() - start, f"{kind}, {len(given):,} long")


def ask_one(figures: Figures, url: str, rng: random.Random, most: int) -> None:
    """One odd request: it must be answered, or refused in JSON with a sentence."""
    route, body, headers = request(rng, most)
    figures.tried[route] += 1
    start = time.perf_counter()
    status, answer = sent(url + route, body, headers)
    figures.took(time.perf_counter() - start, f"{route}, {len(body):,} bytes")
    if status == 200:
        return
    figures.refused[route] += 1
    if status not in TOLD or not isinstance(answer, dict) or not answer.get("error") or len(answer["error"]) > 2000:
        figures.fault(f"{route}: {status} {answer!r:.100} for {body!r:.100} {headers}")


def sent(url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
    """(HTTP status, the answer's JSON, or its text where that is none)."""
    try:
        with OPENER.open(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        told = error.read()
        try:
            return error.code, json.loads(told)
        except ValueError:
            return error.code, told


def asked_meanwhile(figures: Figures, url: str, ended: threading.Event) -> None:
    """Asks other routes until the end, and notes how long each took."""
    while not ended.wait(0.02):
        for route in ("/system_stats", "/object_info/KSampler"):
            start = time.perf_counter()
            status, _ = sent(url + route, None, {})
            figures.others.append(time.perf_counter() - start)
            if status != 200:
                figures.fault(f"{route}: {status}")


def turns(seed: int) -> Iterator[tuple[str, random.Random]]:
    """What to try next, and the source of its randomness: every other one is a request."""
    kinds = sorted(PARSERS)
    number = 0
    while True:
        yield "request" if number % 2 else kinds[number // 2 % len(kinds)], random.Random(f"{seed} {number}")
        number += 1


def fuzz(url: str | None, seed: int, most: int, going: Callable[[Figures], bool]) -> Figures:
    """Goes on while `going` says so, with texts of at most `most` characters; without a `url` only into the parsers."""
    figures, ended = Figures(), threading.Event()
    other = threading.Thread(target=asked_meanwhile, args=(figures, url, ended), daemon=True)
    if url:
        sent(f"{url}/flux_duet/tokens", b'{"text": "a"}', {"Content-Type": "application/json"})  # builds tokenizers
        other.start()
    try:
        for kind, rng in turns(seed):
            if not going(figures):
                return figures
            if kind != "request":
                parse_one(figures, kind, rng, most)
            elif url:
                ask_one(figures, url, rng, most)
    finally:
        ended.set()
        if url:
            other.join()


def main() -> int:
    options = argparse.ArgumentParser(prog="dev.py fuzz")
    options.add_argument("--minutes", type=float, default=1)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with Server(model_folders={}) as server:
        end = time.monotonic() + 60 * given.minutes
        figures = fuzz(server.url, given.seed, 100_000, lambda _: time.monotonic() < end)
    say(f"seed {given.seed}, {given.minutes:g} minutes")
    for line in figures.lines():
        say(line)
    return 0 if figures.held else 1


if __name__ == "__main__":
    sys.exit(main())
