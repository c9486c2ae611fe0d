"""Samples each case once for each measure (and each query, where words compete), and keeps the maps. Needs ComfyUI.

Of each sampling a file is kept with the mean map of each word, range of sigma and block, so that a bench that was
interrupted goes on where it was. The files of other models, or of other code that makes the maps, are not used.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path

import comfy.sample
import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ...devtools import ROOT, say
from ...nano import scenes
from ...nano.layouts import FILES, LATENT_CHANNELS
from ...nano.pipeline import GUIDANCE, MODELS, STEPS, Pipeline
from ...nodes.condition.conditioning import join
from ...nodes.disk.atomic import write_tensors
from ...nodes.encode import encoding
from ...nodes.probe.heat.choices import CAUSAL, CONCEPT, FLOW, MASS, OUTPUT, PRODUCT, THROUGH
from ...nodes.probe.heat.nodes import ConceptHeatmap, Heatmap
from ...nodes.probe.heat.product.product import agreement, lengths
from ...nodes.probe.heat.reading import HeatReading
from ...nodes.streams import T5Text
from .cases import COLOUR, NOUN, PHRASE, QUERIES, Case

# sigma at the beginning of a step: from the first number, included, down to the second
RANGES = {"all": (1.01, 0.0), "above 0.85": (1.01, 0.85), "0.85 to 0.6": (0.85, 0.6), "below 0.6": (0.6, 0.0)}
ALL = list(RANGES).index("all")
SAMPLING = ("nodes/probe/heat", "nodes/encode", "nano/scenes", "nano/pipeline.py")
CODE = (*SAMPLING, "bench/heatmap/cases.py", "bench/heatmap/recording.py")
PICTURE, DRAWN = "picture", "drawn"


@dataclass(frozen=True)
class Measure:
    """`watch(pipeline, txt, words)` is (MODEL, probe). If words `compete`, a map of one depends on the others, so each
    query's words are recorded by themselves."""

    watch: Callable[[Pipeline, T5Text, Sequence[str]], tuple]
    compete: bool = False
    queries: tuple[str, ...] = QUERIES

    @property
    def runs(self) -> list[tuple[str, ...]]:
        """The queries that are recorded together."""
        return [(query,) for query in self.queries] if self.compete else [self.queries]


def by_tokens(measure: str) -> Callable:
    return lambda pipeline, txt, words: (
        Heatmap.execute(pipeline.flux, txt, "\n".join(words), measure, clip=pipeline.t5).result
    )


def by_concepts(pipeline: Pipeline, _: T5Text, words: Sequence[str]) -> tuple:
    return ConceptHeatmap.execute(pipeline.flux, pipeline.t5, "\n".join(words)).result


MEASURES = {
    MASS: Measure(by_tokens(MASS)),
    FLOW: Measure(by_tokens(FLOW)),
    OUTPUT: Measure(by_tokens(OUTPUT), compete=True),
    THROUGH: Measure(by_tokens(THROUGH)),
    CAUSAL: Measure(by_tokens(CAUSAL)),
    CONCEPT: Measure(by_concepts, compete=True, queries=(NOUN, COLOUR, PHRASE)),
}
DERIVED = {PRODUCT: (THROUGH, CAUSAL)}  # from the maps of two measures, without sampling again


@dataclass(frozen=True, eq=False)
class Maps:
    """`values` [objects, ranges, blocks, h, w] of one measure and query; `numbers` are the blocks' numbers, of which
    the first `double` of the model are double blocks."""

    values: Tensor
    numbers: tuple[int, ...]
    double: int


class Recorder:
    """The maps of all cases. `side` is a picture's in image tokens."""

    def __init__(self, cases: Sequence[Case], seed: int, side: int, cache: Path):
        self.cases, self.seed, self.side = cases, seed, side
        self.folder = cache / f"{_code()}-{seed}-{side}"
        self._pipeline: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        self._pipeline = self._pipeline or Pipeline()
        return self._pipeline

    def maps(self, measure: str) -> dict[str, Maps]:
        """{query: its maps} of all objects of all cases, one after the other."""
        if measure in DERIVED:
            one, other = (self.maps(each) for each in DERIVED[measure])
            return {query: multiplied(one[query], other[query]) for query in (NOUN, COLOUR, PHRASE)}
        found: dict[str, list[Tensor]] = {query: [] for query in MEASURES[measure].queries}
        for number, case in enumerate(self.cases):
            path = self.folder / f"{measure.replace(' ', '_')}-{number:04d}.safetensors"
            if not path.exists():
                self._record(number, case, measure, path)
                say(f"{measure}: {number + 1} of {len(self.cases)}")
            with safe_open(path, "pt") as file:
                about = {name: json.loads(value) for name, value in file.metadata().items()}
                for query, each in found.items():
                    each.append(file.get_tensor(query))
        return {query: Maps(torch.cat(each), tuple(about["numbers"]), about["double"]) for query, each in found.items()}

    def pictures(self) -> tuple[np.ndarray, list[bool]]:
        """(uint8 [cases, H, W, 3], whether each object of all cases was drawn); `maps` of any measure has made them."""
        pictures, drawn = [], []
        for number in range(len(self.cases)):
            with safe_open(self._picture_of(number), "pt") as file:
                pictures.append(file.get_tensor(PICTURE))
                drawn += json.loads(file.metadata()[DRAWN])
        return torch.stack(pictures).numpy(), drawn

    def _picture_of(self, number: int) -> Path:
        return self.folder / f"{PICTURE}-{number:04d}.safetensors"

    def _record(self, number: int, case: Case, measure: str, path: Path) -> None:
        maps: dict[str, Tensor] = {}
        for queries in MEASURES[measure].runs:
            words = list(dict.fromkeys(part for named in case.named for query in queries for part in named[query]))
            reading, samples = self._sampled(case, measure, words, self.seed + number)
            kept, by_word = summary(reading), {word: at for at, word in enumerate(reading.words)}
            for query in queries:
                parts = [[by_word[part] for part in named[query]] for named in case.named]
                maps[query] = torch.stack([kept[:, :, own].sum(2) for own in parts])
        if not self._picture_of(number).exists():
            picture = (self.pipeline.vae.decode(samples)[0] * 255).round().clamp(0, 255).to(torch.uint8).contiguous()
            about = {DRAWN: json.dumps(drawn(case, picture.numpy()))}
            write_tensors(self._picture_of(number), {PICTURE: picture}, about)
        blocks = reading.recorded or range(reading.blocks)
        write_tensors(path, maps, {"numbers": json.dumps(list(blocks)), "double": json.dumps(reading.double)})

    def _sampled(self, case: Case, measure: str, words: Sequence[str], seed: int) -> tuple[HeatReading, Tensor]:
        pipeline = self.pipeline
        txt, _ = encoding.encode_t5(pipeline.t5, case.t5)
        model, probe = MEASURES[measure].watch(pipeline, txt, words)
        positive = join(encoding.encode_clip(pipeline.clip_l, case.clip), txt, GUIDANCE)
        latent = torch.zeros(1, LATENT_CHANNELS, 2 * self.side, 2 * self.side)
        noise = comfy.sample.prepare_noise(latent, seed)
        samples = comfy.sample.sample(
            model, noise, STEPS, 1.0, "euler", "simple", positive, positive, latent, seed=seed, disable_pbar=True
        )
        return probe.reading({"samples": samples}), samples


def multiplied(through: Maps, causal: Maps) -> Maps:
    """As nodes/probe/heat/product has it. Maps of `through` are linear in steps, so those of a range will do."""
    values = through.values.permute(1, 2, 0, 3, 4).flatten(3)[..., None, :]  # [ranges, blocks, objects, 1, places]
    changed = lengths(causal.values[:, [ALL]].permute(1, 2, 0, 3, 4).flatten(3)[..., None, :])
    mean = values[ALL]
    factors = agreement(mean, changed) / mean.amax(-1).clamp_min(1e-12)
    found = (values * (factors[..., None] * changed))[..., 0, :].permute(2, 0, 1, 3)
    return replace(through, values=found.unflatten(3, through.values.shape[3:]).contiguous())


def summary(reading: HeatReading) -> Tensor:
    """[ranges, blocks, words, h, w]: the mean over the steps of each of RANGES, of the blocks that have values.

    In a range without a step the one that is nearest to the range's middle counts.
    """
    blocks = list(reading.recorded or range(reading.blocks))
    means = []
    for high, low in RANGES.values():
        steps = [at for at, sigma in enumerate(reading.sigmas) if low <= sigma < high]
        nearest = min(range(len(reading.sigmas)), key=lambda at: abs(reading.sigmas[at] - (high + low) / 2))
        means.append(reading.maps[steps or [nearest]][:, blocks, 0].float().mean(0))
    return torch.stack(means).unflatten(-1, reading.size).contiguous()


def drawn(case: Case, picture: np.ndarray) -> list[bool]:
    """Whether each object of the case is in the picture, with its colour and at its place.

    Pictures of another size than the model is trained for are not read: all of their objects count.
    """
    if len(picture) != scenes.SIZE:
        return [True] * len(case.named)
    pairs = zip(case.scene.objects, scenes.matched(case.scene, scenes.read(picture)), strict=True)
    return [seen is not None and (seen.colour, seen.place) == (item.colour, item.place) for item, seen in pairs]


def _code() -> str:
    """Changes with the models and with the code that makes the maps."""
    folders = [ROOT / path for path in CODE]
    code = chain.from_iterable(sorted(each.rglob("*.py")) if each.is_dir() else [each] for each in folders)
    found = sha256()
    for path in (*code, *(MODELS / file for file in FILES.values())):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
