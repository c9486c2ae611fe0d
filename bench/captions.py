"""How long does Caption Check take for 10,000 captions of 60 words (target 10 s)?

    python dev.py bench captions [--captions 10000] [--words 60] [--rounds 3]

"ours" is the whole check, with a trigger: files listed and read, tokens of both encoders counted, captions compared,
table, CSV, JSON and picture made. "native" is the tokenization of the same captions alone, by ComfyUI's tokenizers, one
caption after another. Both in one process, in alternation, and the counts of tokens are compared. Word frequencies
follow Zipf's law, as in real text. Our cache of words is emptied before each round.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from ..devtools import say
from ..nodes.captions import page, run, summary
from ..nodes.captions.folder import listed
from ..nodes.captions.read import gathered
from ..nodes.compat.text_encoders import clip_l_tokenizer, t5_tokenizer
from .measure import SIDES, Comparison, compared, machine, rounds, seconds, warn_if_busy
from .tokens import vocabulary

TARGET = 10.0  # seconds
TRIGGER = "ohwx"
WORDS = 20_000  # different ones, at most


def captions(count: int, length: int) -> list[str]:
    """Captions of `length` words, the trigger in nine of ten."""
    chosen, words = random.Random(0), vocabulary(WORDS)
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    found = []
    for _ in range(count):
        first = f"a photo of {TRIGGER}, " if chosen.random() < 0.9 else ""
        found.append(first + " ".join(chosen.choices(words, weights, k=length)) + ".")
    return found


def ours(folder: Path) -> list[tuple[int, int]]:
    done = run.of(gathered(listed(folder)), "captions", TRIGGER, 512)
    summary.table(done), summary.as_csv(done), summary.as_json(done), page.draw(done)
    return [(each.clip.tokens, each.t5.tokens) for each in done.captions]


def native(texts: list[str]) -> list[tuple[int, int]]:
    """The counts of tokens without start and end tokens."""
    clip_l, t5 = clip_l_tokenizer().tokenizer, t5_tokenizer().tokenizer
    return [(len(clip_l(text)["input_ids"]) - 2, len(t5(text)["input_ids"]) - 1) for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench captions", description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    warn_if_busy()
    say("writing the captions ...")
    texts, times = captions(chosen.captions, chosen.words), {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, f"{number:06}.txt").write_text(text, encoding="utf-8")
        calls = {"native": lambda: native(texts), "ours": lambda: ours(Path(folder))}
        expected = None
        for _, side in rounds(chosen.rounds):
            start = time.perf_counter()
            counts = calls[side]()
            times[side].append(time.perf_counter() - start)
            expected = counts if expected is None else expected
            if counts != expected:
                raise ValueError("the two sides counted different tokens")
    print(f"\n{machine()}, {chosen.rounds} rounds, {chosen.captions:,} captions of {chosen.words} words\n")
    print(compared([Comparison("the whole check", **times)]))
    slowest = max(times["ours"])
    print(f"\nslowest round {seconds(slowest)}, target {seconds(TARGET)}: {'met' if slowest < TARGET else 'missed'}")


if __name__ == "__main__":
    main()
