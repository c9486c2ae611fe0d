"""How long until a freshly started ComfyUI has its first prompt's CONDITIONING, and how much memory does it take?

    python dev.py bench cold [--scale small] [--rounds 3] [--disk DIR] [--drop-caches]

Random weights at the real shapes of CLIP-L and T5-XXL. Every run has a server of its own: DualCLIPLoader and
CLIPTextEncodeFlux, then our stages with an empty embedding store, then, by the next server with the same user folder,
our stages with the store that the run before left. Timed from the request to ComfyUI's `execution_success`.

With the empty store ours also hashes both files, once for as long as the user folder stays, and keeps the encodings.
Memory is the server's peak beyond what it held before the prompt. It is resident memory, which counts the pages of
mapped files too: natively T5 counts once as the file and once as the weights copied out of it.

The encoders' files are read through before each run, so that they come from the page cache wherever memory has room
for it; how much did not is told. A prompt that waits for a disk takes longer on every side that reads T5: --drop-caches
takes both files out of the cache instead.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ..devtools import SetupError, say
from ..devtools.environment import cache_folder
from ..devtools.opens import Opens
from .encoder_files import SCALES, Encoders, written
from .footprint import Footprint, footprint
from .graphs import GRAPHS, Run, server, timed
from .measure import Comparison, compared, machine, rounds, seconds, size, table, warn_if_busy

NATIVE, EMPTY, WARM = "native", "ours, empty store", "ours, warm store"
CASES = {"native": [NATIVE], "ours": [EMPTY, WARM]}  # by side, in the order in which servers share a user folder
KEPT = {NATIVE: 0, EMPTY: 2, WARM: 2}  # encodings in the store afterwards: one for each stream
PIECE = 16 * 2**20  # bytes
PROMPT = {"clip": "a watercolour, soft light", "t5": "a red circle to the left of a blue square"}


@dataclass(frozen=True)
class First:
    """The first prompt of a server: what it took, what was done to T5's file since before the server's start (None
    where that cannot be told), and the sizes of the encodings that are in the store afterwards."""

    run: Run
    cost: Footprint
    t5: tuple[str, ...] | None
    kept: tuple[int, ...]


def first(side: str, encoders: Encoders, base: Path) -> First:
    with trace(encoders.paths()["t5xxl"]) as opens, server(encoders, base) as started:
        with footprint(started.process.pid) as cost:
            run = timed(started, GRAPHS[side](encoders, **PROMPT))
        return First(run, cost, None if opens is None else tuple(opens.seen()), kept(base))


def trace(path: Path) -> Opens | nullcontext:
    try:
        return Opens(path)
    except OSError:  # not Linux
        return nullcontext()


def kept(base: Path) -> tuple[int, ...]:
    """Sizes of the encodings in the store of the server with this base."""
    return tuple(path.stat().st_size for path in base.glob("user/*/embeddings/*.safetensors"))


def warm_up(path: Path) -> None:
    """Brings a file into the page cache; that it was written a while ago does not mean that it still is there."""
    piece = memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass


def drop(path: Path) -> None:
    """Takes one file out of the page cache: no privilege is needed for a file that is on disk and mapped nowhere."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(encoders: Encoders, disk: Path, count: int, prepare: Callable[[Path], None]) -> dict[str, list[First]]:
    """By case, one of each for every round; before each, `prepare` gets the encoders' files."""
    firsts: dict[str, list[First]] = {case: [] for cases in CASES.values() for case in cases}
    for number, side in rounds(count):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as base:
            for case in CASES[side]:
                for path in encoders.paths().values():
                    prepare(path)
                firsts[case].append(one := first(side, encoders, Path(base)))
                say(
                    f"round {number + 1} of {count}, {case}: {seconds(one.run.seconds)}, {size(one.cost.memory)}, "
                    f"{told(one.cost.fetched)} from storage"
                )
    return firsts


def check(firsts: Mapping[str, Sequence[First]]) -> None:
    """Raises ValueError where the runs did not compute the same, or not with the store that they were to have."""
    if len({one.run.text for ones in firsts.values() for one in ones}) != 1:
        raise ValueError("the CONDITIONINGs of native, empty and warm store differ, so their times say nothing")
    for case, ones in firsts.items():
        for one in ones:
            if len(one.kept) != KEPT[case]:
                raise ValueError(f"{case}: got {len(one.kept)} encodings in the store, expected {KEPT[case]}")
            if one.t5 is not None and bool(one.t5) != (case != WARM):
                raise ValueError(
                    f"{case}: T5's file was {opened(one)}, expected {'it not' if case == WARM else 'it'} to be"
                )


def opened(one: First) -> str:
    if one.t5 is None:
        return "not traced on this system"
    return "opened" if one.t5 else "never opened"


def report(firsts: Mapping[str, Sequence[First]]) -> str:
    check(firsts)
    times = {case: [one.run.seconds for one in ones] for case, ones in firsts.items()}
    memory = {case: [one.cost.memory for one in ones] for case, ones in firsts.items()}
    stores = {EMPTY: "empty store", WARM: "warm store"}
    comparisons = [Comparison(f"time, {name}", times[NATIVE], times[case]) for case, name in stores.items()]
    comparisons += [
        Comparison(f"peak memory, {name}", memory[NATIVE], memory[case], size) for case, name in stores.items()
    ]
    heads = ["", "CPU time", "read by calls", "from storage", "T5's file since the server's start", "encodings kept"]
    return compared(comparisons) + "\n\n" + table(heads, [row(case, ones) for case, ones in firsts.items()])


def row(case: str, ones: Sequence[First]) -> list[str]:
    read, fetched = ([getattr(one.cost, name) for one in ones] for name in ("read", "fetched"))
    amounts = [told(None if None in each else median(each)) for each in (read, fetched)]
    computed = seconds(median(one.cost.cpu for one in ones))
    sizes = ones[-1].kept
    stored = f"{len(sizes)}, {size(sum(sizes))}" if sizes else "none"
    return [case, computed, *amounts, opened(ones[-1]), stored]


def told(amount: float | None) -> str:
    return "not told" if amount is None else size(amount)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench cold", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 10 GB of disk and 13 GB of memory")
    parser.add_argument("--rounds", type=int, default=3, help="servers started for each case")
    parser.add_argument("--disk", type=Path, default=cache_folder(), help="where the weights stand during the run")
    if hasattr(os, "posix_fadvise"):
        parser.add_argument("--drop-caches", action="store_true", help="have the encoders' files read from the disk")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    dropped = getattr(chosen, "drop_caches", False)
    warn_if_busy()
    try:
        with written(chosen.disk, chosen.scale) as encoders:
            firsts = measure(encoders, chosen.disk, chosen.rounds, drop if dropped else warm_up)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    print(
        f"\n{chosen.scale} shapes, {machine()}, {chosen.rounds} rounds, the encoders' files "
        f"{'dropped from' if dropped else 'warm in'} the page cache\n"
    )
    print(report(firsts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
