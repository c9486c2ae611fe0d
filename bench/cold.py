"""How long does a newly started ComfyUI take for its first prompt's CONDITIONING, and how much memory?

    python dev.py bench cold [--scale small] [--rounds 3] [--disk DIR] [--drop-caches]

Random weights of the real shapes of CLIP-L and T5-XXL. Every run has its own server: DualCLIPLoader and
CLIPTextEncodeFlux, then our stages with an empty embedding store, then, on the next server with the same user folder,
our stages with the store that the previous run left. Timed from the request to ComfyUI's `execution_success`.

With the empty store, our side also hashes both files, once per user folder, and stores the encodings. Memory is the
server's peak minus what it held before the prompt. It is resident memory, which includes the pages of mapped files: on
the native side T5 counts twice, as the file and as the weights copied out of it.

The encoders' files are read before each run, so that they come from the page cache if they fit into memory; the amount
read from storage is reported. Reading from a disk takes longer for each side that reads T5: --drop-caches removes both
files from the cache instead.
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
    """The first prompt of a server: its run and cost, accesses to T5's file since before the server's start (None if
    unknown), and the sizes in bytes of the encodings in the store afterwards.
    """

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
    """Reads a file into the page cache, from which it may have been removed since it was written."""
    piece = memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass


def drop(path: Path) -> None:
    """Removes a file from the page cache. Needs no privileges if the file is on disk and not mapped."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(encoders: Encoders, disk: Path, count: int, prepare: Callable[[Path], None]) -> dict[str, list[First]]:
    """The first prompts by case, one for each round; `prepare` is called with each encoder file before a run."""
    firsts: dict[str, list[First]] = {case: [] for cases in CASES.values() for case in cases}
    for number, side in rounds(count):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as base:
            for case in CASES[side]:
                for path in encoders.paths().values():
                    prepare(path)
                firsts[case].append(one := first(side, encoders, Path(base)))
                say(
                    f"round {number + 1} of {count}, {case}: {seconds(one.run.seconds)}, {size(one.cost.memory)}, "
                    f"{amount_text(one.cost.fetched)} from storage"
                )
    return firsts


def check(firsts: Mapping[str, Sequence[First]]) -> None:
    """Raises ValueError if the runs' results differ, or a run's embedding store is not in the expected state."""
    if len({one.run.text for ones in firsts.values() for one in ones}) != 1:
        raise ValueError("the CONDITIONINGs of native, empty and warm store differ, expected equal ones")
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
    amounts = [amount_text(None if None in each else median(each)) for each in (read, fetched)]
    computed = seconds(median(one.cost.cpu for one in ones))
    sizes = ones[-1].kept
    stored = f"{len(sizes)}, {size(sum(sizes))}" if sizes else "none"
    return [case, computed, *amounts, opened(ones[-1]), stored]


def amount_text(amount: float | None) -> str:
    return "unknown" if amount is None else size(amount)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench cold", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="real", help="real needs 10 GB of disk and 13 GB of memory")
    parser.add_argument("--rounds", type=int, default=3, help="servers started for each case")
    parser.add_argument("--disk", type=Path, default=cache_folder(), help="where the weights are stored during the run")
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
