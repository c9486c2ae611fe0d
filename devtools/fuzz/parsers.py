"""Random text for the pack's parsers, in this process."""

import random
from collections.abc import Callable

from ...nodes.condition.blocks import Blocks
from ...nodes.condition.time import timeline
from ...nodes.encode.choices import ATTENTION
from ...nodes.encode.load import layout
from ...nodes.encode.tokens import weights
from ...nodes.probe import phrases
from ...nodes.probe.grid.lora_lines import parsed
from ...nodes.probe.grid.prompts import listed
from . import inputs
from .figures import Figures, Timer


def read_for_clip(given: str) -> None:
    prompt = weights.parse(given, True)
    weights.clip_notes(prompt, prompt.groups[:5])


def read_for_t5(given: str) -> None:
    weights.t5_notes(weights.parse(given), ATTENTION)


def read_words(given: str) -> None:
    list(phrases.words(given))


def search(given: str) -> None:
    phrases.find(given, given[:20])


def read_blocks(given: str) -> None:
    Blocks.parse(given).within(19, 38)


def read_loras(given: str) -> None:
    parsed(given, ["style.safetensors", "people/ann lee.safetensors", *given.split()[:3]])


def read_names(given: dict) -> None:
    layout.check(given, layout.T5, "odd.safetensors")


PARSERS: dict[str, tuple[Callable, Callable]] = {
    "prompts for CLIP": (inputs.text, read_for_clip),
    "prompts for T5": (inputs.text, read_for_t5),
    "words of prompts": (inputs.searched, read_words),
    "searches in prompts": (inputs.searched, search),
    "timelines": (inputs.timelines, timeline.parse),
    "lists of prompts": (inputs.text, listed),
    "lines of LoRAs": (inputs.text, read_loras),
    "lists of blocks": (inputs.blocks, read_blocks),
    "names of tensors": (inputs.shapes, read_names),
}


def parse_one(figures: Figures, kind: str, rng: random.Random, most: int) -> None:
    """Runs one parser with one random input: it must return a result, or raise a clean error."""
    make, read = PARSERS[kind]
    given = make(rng, most)
    figures.tried[kind] += 1
    timer = Timer()
    try:
        read(given)
    except Exception as error:
        figures.judge(kind, error, repr(given))
    figures.took(kind, *timer.read(), f"{len(given):,} long")
