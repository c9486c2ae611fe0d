"""A prompt with a word and without it. Pure."""

from __future__ import annotations

import re


def with_and_without(prompt: str, word: str, instead: str = "") -> tuple[str, str]:
    """(the prompt with the word, the prompt without it).

    A prompt that holds the word is the first; in the second, `instead` stands in its place. A prompt that does not is
    the second; in the first, the word stands before it. Upper and lower case are the same.
    """
    word = " ".join(word.split())
    signs = r"\s+".join(map(re.escape, word.split()))
    pattern = re.compile(rf"(?<!\w){signs}(?!\w)", re.IGNORECASE)
    if not pattern.search(prompt):
        return (f"{word}, {prompt}" if prompt.strip() else word), prompt
    return prompt, _tidied(pattern.sub(lambda _: instead.strip(), prompt))


def _tidied(prompt: str) -> str:
    """Without the spaces, the commas and the weight that a removed word leaves."""
    prompt = re.sub(r"\(\s*(:\s*[\d.]+\s*)?\)", "", prompt)
    prompt = re.sub(r"[ \t]+", " ", prompt)
    prompt = re.sub(r" +([,.;:!?])", r"\1", prompt)
    prompt = re.sub(r",(?:\s*,)+", ",", prompt)
    return prompt.strip().lstrip(",;. ").removesuffix(",").strip()
