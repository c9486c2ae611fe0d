"""How long does the front end wait for the tokens of a 5,000-word prompt, near the longest that is read?

    python dev.py bench tokens [--words 5000] [--rounds 15]

The computation of POST /flux_duet/tokens, CLIP's and T5's tokens with places, notes and JSON ("ours"), is compared with
ComfyUI's tokenization of the same text alone ("native"), in one process, in alternation. The target is 20 ms. A request
also takes the server's own time.

Words that were read before are cached, as all are while somebody types: "typed on" adds a letter in each round. In
"pasted" the words are new; in "pasted, none twice" no word occurs twice either. For these two, the caches of both sides
are cleared, including that of CLIP-L's tokenizer.
"""

import argparse
import json
import random
import re
import time

from ..devtools import say
from ..nodes.encode.tokens import words as remembered
from ..nodes.routes import tokens as tokens_route
from .measure import SIDES, Comparison, compared, machine, rounds, warn_if_busy

WEIGHT = "({}:1.2)"  # one word in fifty
STREAMS = tokens_route.CLIP_POSITIONS


def vocabulary(count: int) -> list[str]:
    """Words that T5 has a token for, in random order."""
    tokens = tokens_route._tokenizers(STREAMS)[1].tokenizer.get_vocab()
    words = {token.lstrip("\u2581") for token in tokens}
    return random.Random(0).sample(sorted(filter(re.compile("[A-Za-z]{3,}").fullmatch, words)), count)


def prompt(count: int, again: bool) -> str:
    """A prompt of `count` words, some weighted. If `again`, word frequencies follow Zipf's law, else none repeats."""
    chosen, words = random.Random(0), vocabulary(count)
    if again:
        words = chosen.choices(words, [1 / rank for rank in range(1, count + 1)], k=count)
    return " ".join(WEIGHT.format(word) if chosen.random() < 0.02 else word for word in words)


def forget() -> None:
    """Clears the caches of both sides."""
    remembered._words.clear()
    for tokenizer in tokens_route._tokenizers(STREAMS):
        if hasattr(model := tokenizer.tokenizer.backend_tokenizer.model, "_clear_cache"):
            model._clear_cache()


def measured(name: str, text: str, count: int, new: bool) -> Comparison:
    clip_l, t5 = tokens_route._tokenizers(STREAMS)

    def native(text):
        return [tokenizer.tokenize_with_weights(text) for tokenizer in (clip_l, t5)]

    def ours(text):
        return json.dumps(tokens_route.read(**tokens_route.checked({"text": text})), separators=(",", ":"))

    calls, times = dict(zip(SIDES, (native, ours), strict=True)), {side: [] for side in SIDES}
    for call in calls.values():
        call(text)
    for number, side in rounds(count):
        if new:
            forget()
        typed = text + " " + "y" * (number + 1)
        start = time.perf_counter()
        calls[side](typed)
        times[side].append(time.perf_counter() - start)
    return Comparison(name, **times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench tokens", description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    warn_if_busy()
    say("building the tokenizers ...")
    usual, all_new = prompt(chosen.words, again=True), prompt(chosen.words, again=False)
    different = len(set(usual.split()))
    print(f"\n{machine()}, {chosen.rounds} rounds, {chosen.words:,} words, {different:,} different ones\n")
    print(
        compared(
            [
                measured("typed on", usual, chosen.rounds, new=False),
                measured("pasted", usual, chosen.rounds, new=True),
                measured("pasted, none twice", all_new, chosen.rounds, new=True),
            ]
        )
    )


if __name__ == "__main__":
    main()
