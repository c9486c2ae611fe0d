"""How long does the front end wait for the tokens of a 5,000-word prompt?

    python dev.py bench tokens [--words 5000] [--rounds 15]

What POST /flux_duet/tokens computes, both roads with places, notes and JSON ("ours"), against ComfyUI's tokenization of
the same text alone ("native"), in one process, in turn. The target is 20 ms. A request adds the way through the server.
"""

import argparse
import json
import random
import time

from ..devtools import say
from ..nodes import server
from .measure import SIDES, Comparison, compared, machine, rounds, warn_if_busy

WORDS = ("a", "lighthouse", "on", "the", "cliff,", "gulls", "above", "storm", "clouds", "watercolour", "painterly")
WEIGHTED = "(far:1.2)"  # one word in fifty


def prompt(words: int) -> str:
    """Words of a prompt, some of them weighted."""
    chosen = random.Random(0)
    return " ".join(WEIGHTED if chosen.random() < 0.02 else chosen.choice(WORDS) for _ in range(words))


def measured(text: str, count: int) -> Comparison:
    clip_l, t5 = server._tokenizers(server.CLIP_POSITIONS[0])

    def native():
        return [tokenizer.tokenize_with_weights(text) for tokenizer in (clip_l, t5)]

    def ours():
        return json.dumps(server.read(**server.checked({"text": text})), separators=(",", ":"))

    calls, times = dict(zip(SIDES, (native, ours), strict=True)), {side: [] for side in SIDES}
    for call in calls.values():
        call()
    for _, side in rounds(count):
        start = time.perf_counter()
        calls[side]()
        times[side].append(time.perf_counter() - start)
    return Comparison(f"{len(text.split()):,} words", **times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench tokens", description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    warn_if_busy()
    say("building the tokenizers ...")
    print(f"\n{machine()}, {chosen.rounds} rounds\n")
    print(compared([measured(prompt(chosen.words), chosen.rounds)]))


if __name__ == "__main__":
    main()
