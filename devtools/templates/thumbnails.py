"""`dev.py run devtools.templates.thumbnails [SLUG ...]`: workflows/NAME.jpg, what ComfyUI's template page shows.

Each is made of what its template draws, so it shows the nano models of the day.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from .. import SetupError, say
from ..client import as_command
from ..server import Server
from . import NAMES, WORKFLOWS, tiles
from .parts import VAE
from .results import CLIP_TEXT, SEED, T5_TEXT, Results, changed, named, shown_by
from .tiles import Picture, clip, contained, grid, halves, headed, inset, labelled, plain, square, t5, top_of

QUALITY = 88
Recipe = Callable[[Results], Picture]
RECIPES: dict[str, Recipe] = {}


def recipe(make: Recipe) -> Recipe:
    RECIPES[make.__name__] = make
    return make


def titled(results: Results, slug: str, *titles: str) -> list[Picture]:
    """The first picture of each node of these titles."""
    prompt = results.prompt(slug)
    return [pictures[0] for pictures in results.of(prompt, *(shown_by(prompt, title) for title in titles))]


@recipe
def dual_prompt(results: Results) -> Picture:
    """Two CLIP prompts by two T5 prompts, one seed."""
    prompt = results.prompt("dual_prompt")
    moods, things = ("at the beach", "in the snow"), (None, "a white boat in the middle")
    made = [
        results.picture(changed(prompt, (CLIP_TEXT, mood), *([(T5_TEXT, thing)] if thing else [])))
        for thing in things
        for mood in moods
    ]
    return headed(grid(made, 2), *map(clip, moods))


@recipe
def flowchart(results: Results) -> Picture:
    """From noise to the picture."""
    prompt = results.prompt("flowchart")
    noisy = [(("FluxDuetSampler", "leftover_noise"), True)]
    ends = [(("FluxDuetSampler", "end_step"), end) for end in (2, 6, 9, 11, 13, 15, 17, 18, 20)]
    return tiles.film([results.picture(changed(prompt, *noisy, end)) for end in ends])


@recipe
def prompt_schedule(results: Results) -> Picture:
    """Through the night: the first prompts, the schedule, the last prompts."""
    prompt = results.prompt("prompt_schedule")
    first = changed(prompt, (("FluxDuetPromptAt", "when"), "0"))
    source = shown_by(prompt, "The last prompts alone")
    (start,), (end,) = results.of(first, source)[0], results.of(prompt, source)[0]
    (travel,) = titled(results, "prompt_schedule", "The schedule")
    return headed(grid([start, travel, end], 3), plain("first"), plain("travel"), plain("last"))


@recipe
def timeline(results: Results) -> Picture:
    prompt = results.prompt("timeline")
    switch = ("FluxDuetSchedule", "t5_timeline")
    texts = [f"1\n@{start}..{start + 3} 2" for start in (16, 10, 7, 5, 3, 1)]
    return tiles.film([results.picture(changed(prompt, (switch, text))) for text in texts], rows=2)


@recipe
def blend(results: Results) -> Picture:
    prompt = results.prompt("blend")
    one, both = titled(results, "blend", "The first prompt", "Half and half")
    (other,) = results.of(changed(prompt, (("FluxDuetBlendTxt", "weight"), 1.0)), shown_by(prompt, "Half and half"))[0]
    return inset(both, [one, other])


@recipe
def negative_prompts(results: Results) -> Picture:
    return labelled(halves(*titled(results, "negative_prompts", "Without", "Not red")), t5("not red"))


@recipe
def t5_region(results: Results) -> Picture:
    one, two = titled(results, "t5_region", "The left prompt alone", "With the right region")
    return inset(two, [one])


@recipe
def block_routing(results: Results) -> Picture:
    return halves(*titled(results, "block_routing", "b in the double blocks", "b in the single blocks"))


@recipe
def token_heatmap(results: Results) -> Picture:
    """A word's map on its thing."""
    prompt = results.prompt("token_heatmap")
    show = named(prompt, "FluxDuetHeatmapShow")
    (maps,) = results.of(prompt, [show, 1], masks=True)
    word = prompt[named(prompt, "FluxDuetHeatmap")]["inputs"]["words"].splitlines()[0]
    return labelled(tiles.heat(results.picture(prompt), maps[0]), t5(word))


@recipe
def picture_heatmap(results: Results) -> Picture:
    """The map of a word on a picture, and its place repainted."""
    prompt = results.prompt("picture_heatmap")
    find = named(prompt, "FluxDuetPictureHeatmap")
    (maps,) = results.of(prompt, [find, 4], masks=True)
    given = prompt[find]["inputs"]
    (before,), (after,) = results.of(prompt, given["image"], shown_by(prompt, "Repainted"))
    return labelled(grid([tiles.heat(before, maps[0]), square(after)], 1), t5(given["words"].splitlines()[0]))


@recipe
def encoder_influence(results: Results) -> Picture:
    """Where each prompt acts."""
    prompt = results.prompt("encoder_influence")
    show = named(prompt, "FluxDuetInfluenceShow")
    (first,), (second,) = results.of(prompt, [show, 2], [show, 3], masks=True)
    masks = [(first, tiles.LIGHT.clip), (second, tiles.LIGHT.t5)]
    return labelled(tiles.tinted(results.picture(prompt), masks), clip("CLIP acts here"), t5("T5 acts here"))


@recipe
def word_ablation(results: Results) -> Picture:
    """Where the picture would change without each of two words."""
    prompt = results.prompt("word_ablation")
    node, vae = named(prompt, "FluxDuetWords"), {"class_type": "VAELoader", "inputs": {"vae_name": VAE}}
    prompt = {**changed(prompt, (("FluxDuetWords", "words"), "orange, fish, top, left")), "vae": vae}
    prompt[node]["inputs"]["vae"] = ["vae", 0]
    return contained(results.of(prompt, [node, 3])[0][0])


@recipe
def switch_sweep(results: Results) -> Picture:
    prompt = results.prompt("switch_sweep")
    return tiles.film(results.decoded(prompt, [named(prompt, "FluxDuetSweep"), 1])[:12])


@recipe
def prompt_grid(results: Results) -> Picture:
    prompt = changed(results.prompt("prompt_grid"), (("FluxDuetGrid", "seeds"), 1))
    return grid(results.decoded(prompt, [named(prompt, "FluxDuetGrid"), 1])[:9], 3)


@recipe
def lora_by_stream(results: Results) -> Picture:
    return labelled(
        halves(*titled(results, "lora_by_stream", "Without the LoRA", "Its CLIP side alone")), plain("LoRA")
    )


def page(slug: str, kind: str, slot: int, cut: Callable[[Picture], Picture]) -> Recipe:
    """A page that a node draws."""

    def make(results: Results) -> Picture:
        prompt = results.prompt(slug)
        return cut(results.of(prompt, [named(prompt, kind), slot])[0][0])

    return make


for slug, *drawn in (
    ("lora_anatomy", "FluxDuetLoraAnatomy", 0, contained),
    ("lora_influence", "FluxDuetLoraInfluence", 1, contained),
    ("trigger_test", "FluxDuetTrigger", 1, contained),
    ("caption_check", "FluxDuetCaptions", 0, top_of),
):
    RECIPES[slug] = page(slug, *drawn)


@recipe
def native_nodes(results: Results) -> Picture:
    prompt = results.prompt("native_nodes")
    return labelled(square(results.picture(prompt, "VAEDecode")), plain("KSampler"))


@recipe
def share_embedding(results: Results) -> Picture:
    prompt = results.prompt("share_embedding")
    made = [results.picture(changed(prompt, (SEED, seed))) for seed in (1, 2, 3, 4)]
    return labelled(grid(made, 2), plain("one .safetensors"))


def main() -> None:
    wanted = sys.argv[1:] or list(RECIPES)
    if unknown := set(wanted) - set(RECIPES):
        raise SetupError(f"no thumbnail for {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    with Server(args=["--cache-lru", "1000"]) as server:
        results = Results(server)
        for slug in wanted:
            say(f"{slug} ...")
            path = WORKFLOWS / f"{NAMES[slug]}.jpg"
            RECIPES[slug](results).save(path, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    as_command(main)
