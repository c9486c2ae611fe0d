"""Trains the nano models from scratch on the CPU and writes them to workflows/models. Needs ComfyUI.

There are five stages, each saved in a cache folder so that an interrupted run can resume: the autoencoder, a pool of
latents, the two text encoders, the image model, and the decoder again, for cleaner edges.
"""

import argparse
import json
import os
import random
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..devtools.environment import cache_folder
from . import autoencoder, encoders, flow, layouts, optimizers, scenes
from .encoders import TextEncoders
from .text import T5_LENGTHS, Tokens, choose

MODELS = Path(__file__).resolve().parent.parent / "workflows" / "models"
CACHE = cache_folder() / "nano"


@dataclass(frozen=True)
class Recipe:
    """All settings that determine the result."""

    seed: int = 0
    ae_steps: int = 3000
    ae_minutes: float = 12.0
    decoder_steps: int = 6000
    decoder_minutes: float = 20.0
    encoder_steps: int = 1800
    pool: int = 30_000  # scenes whose latents are computed once
    steps: int = 13_000
    batch: int = 32
    lr: float = 3e-3
    warmup: int = 150
    ema: float = 0.999
    emphasis: float = 8.0  # additional weight of objects in the loss; falls to 0 in the second half
    several: int = 2  # sampling weight of scenes with two or three objects, relative to those with one
    guided_from: float = 0.72  # progress from which on guidance_in is trained
    tail: float = 0.008  # the share of last steps that all use ComfyUI's 256 T5 tokens


# Settings that may change when the training of the flow is resumed.
LATER = ("steps", "decoder_steps", "decoder_minutes", "emphasis", "guided_from", "tail", "several")

TABLE_DTYPE = torch.float8_e4m3fn  # a table is looked up, never multiplied


def save(path: Path, content: dict | str) -> None:
    """Writes tensors or text to a file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial-{os.getpid()}")
    if isinstance(content, str):
        partial.write_text(content, encoding="utf-8")
    else:
        torch.save(content, partial)
    os.replace(partial, path)


def train_autoencoder(recipe: Recipe, cache: Path) -> autoencoder.SlimTAESD:
    path = cache / "autoencoder.pt"
    torch.manual_seed(recipe.seed)
    slim = autoencoder.SlimTAESD()
    if not path.exists():
        for stale in cache.glob("*.pt"):  # they depend on the latents of another autoencoder
            stale.unlink()
        save(path, autoencoder.train(slim, recipe.ae_steps, 60 * recipe.ae_minutes, recipe.seed).state_dict())
    slim.load_state_dict(torch.load(path, weights_only=True))
    return slim.eval()


def train_encoders(recipe: Recipe, shape: layouts.Shape, cache: Path) -> TextEncoders:
    path, texts = cache / "encoders.pt", TextEncoders(shape, recipe.seed)
    if not path.exists():
        encoders.train(texts, shape, recipe.encoder_steps, recipe.seed)
        texts.round_tables(TABLE_DTYPE)
        save(path, texts.state_dict())
    texts.load_state_dict(torch.load(path, weights_only=True))
    return texts.requires_grad_(False).eval()


def polish_decoder(recipe: Recipe, cache: Path, slim: autoencoder.SlimTAESD) -> None:
    path = cache / "decoder.pt"
    if not path.exists():
        autoencoder.train(slim, recipe.decoder_steps, 60 * recipe.decoder_minutes, recipe.seed + 1, decoder_only=True)
        save(path, slim.taesd_decoder.state_dict())
    slim.taesd_decoder.load_state_dict(torch.load(path, weights_only=True))


def pool_scenes(recipe: Recipe) -> list[scenes.Scene]:
    rng = random.Random(recipe.seed)
    return [scenes.random_scene(rng) for _ in range(recipe.pool)]


@torch.no_grad()
def encode_pool(recipe: Recipe, cache: Path, slim: autoencoder.SlimTAESD) -> Tensor:
    """The pool's latents, float16 [N, 16, 16, 16], in the model's scale."""
    path, size = cache / f"pool-{recipe.seed}-{recipe.pool}.pt", 32
    if not path.exists():
        pool, latents = pool_scenes(recipe), []
        encoder = slim.taesd_encoder.to(memory_format=torch.channels_last)
        for start in tqdm(range(0, len(pool), size), desc="latents", mininterval=5):
            image = autoencoder.pictures(pool[start : start + size])
            latents.append(encoder(image.contiguous(memory_format=torch.channels_last)).half().contiguous())
        save(path, {"latents": torch.cat(latents)})
    return torch.load(path, weights_only=True)["latents"]


class Run:
    """The training state of Flux: model, moving average, optimizers and elapsed time, saved together."""

    PARTS = ("model", "average", "muon", "adam")

    def __init__(
        self,
        recipe: Recipe,
        shape: layouts.Shape,
        encoders: TextEncoders,
        latents: Tensor,
        cache: Path,
        minutes: float | None,
    ):
        self.recipe, self.minutes, self.path = recipe, minutes, cache / "flow.pt"
        self.encoders, self.tokens = encoders.eval(), Tokens()
        self.latents, self.pool = latents, pool_scenes(recipe)
        self.weights = [recipe.several if len(scene.objects) > 1 else 1 for scene in self.pool]
        self.model, self.average = flow.flux(shape, recipe.seed), flow.flux(shape, recipe.seed)
        self.average.requires_grad_(False)
        self.muon, self.adam = optimizers.of(self.model, inner=("blocks.",), lr=recipe.lr)
        self.step, self.elapsed, self.curve = 0, 0.0, []
        same = {name: value for name, value in asdict(recipe).items() if name not in LATER}
        self._identity = {"shape": asdict(shape), "recipe": same}
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
        saved = torch.load(self.path, weights_only=True)
        if saved["identity"] != self._identity:
            raise ValueError(f"{self.path} has another recipe: {saved['identity']}. Delete it to start again.")
        for name in self.PARTS:
            getattr(self, name).load_state_dict(saved[name])
        self.step, self.elapsed, self.curve = saved["step"], saved["elapsed"], saved["curve"]

    def keep(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in self.PARTS}
        save(
            self.path,
            {**state, "identity": self._identity, "step": self.step, "elapsed": self.elapsed, "curve": self.curve},
        )

    @property
    def progress(self) -> float:
        clock = self.elapsed / (60 * self.minutes) if self.minutes else 0.0
        return max(self.step / self.recipe.steps, clock)

    def _loss(self, rng: random.Random) -> Tensor:
        recipe, rows = self.recipe, rng.choices(range(self.recipe.pool), self.weights, k=self.recipe.batch)
        batch = [self.pool[row] for row in rows]
        length = 256 if self.progress > 1 - recipe.tail else choose(rng, T5_LENGTHS)
        prompts = flow.encode(self.encoders, self.tokens, *flow.captions(batch, rng), length, rng)
        teacher = nothing = None
        if self.progress > recipe.guided_from:
            nothing = flow.encode(self.encoders, self.tokens, *[[""] * len(batch)] * 2, prompts.txt.shape[1])
            teacher = self.average
        emphasis = recipe.emphasis * min(1, 2 - 2 * self.progress)
        return flow.flow_loss(self.model, teacher, self.latents[rows].float(), batch, prompts, nothing, emphasis)

    def advance(self) -> float:
        """Trains one step, returns its loss. The seed is the step's number, so that resuming changes nothing."""
        recipe, start = self.recipe, time.monotonic()
        rng = random.Random(f"{recipe.seed}/{self.step}")
        torch.manual_seed(recipe.seed + self.step)
        value = self._loss(rng)
        self.model.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        optimizers.step((self.muon, self.adam), recipe.lr * optimizers.cosine(self.step, self.progress, recipe.warmup))
        self.step += 1
        decay = min(recipe.ema, self.step / (self.step + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        self.elapsed += time.monotonic() - start
        return value.item()


def train_flow(run: Run) -> None:
    smooth, kept = None, time.monotonic()
    with flow.differentiable(), tqdm(total=run.recipe.steps, initial=run.step, desc="flow", mininterval=5) as bar:
        while run.progress < 1:
            value = run.advance()
            smooth = value if smooth is None else smooth + 0.02 * (value - smooth)
            bar.update()
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            if run.step % 100 == 0:
                run.curve.append((run.step, round(run.elapsed), round(smooth, 4)))
            if time.monotonic() - kept > 120:
                run.keep()
                kept = time.monotonic()
    run.keep()


def finished(run: Run, shape: layouts.Shape, slim: autoencoder.SlimTAESD) -> dict:
    """The averaged weights and the padded autoencoder, as official state dicts."""
    parts = layouts.modules(shape)
    for name, part in (("flux", run.average), ("clip_l", run.encoders.clip_l), ("t5xxl", run.encoders.t5xxl)):
        parts[name].load_state_dict(part.state_dict())
    state_dicts = layouts.official(parts)
    state_dicts["ae"] = autoencoder.embed(slim, state_dicts["ae"])
    return state_dicts


def write_curve(run: Run, path: Path) -> None:
    """Writes the recipe and the curve of (step, seconds, loss)."""
    content = {"recipe": asdict(run.recipe), "steps": run.step, "minutes": round(run.elapsed / 60, 1)}
    lines = ",\n".join(f"  {json.dumps(point)}" for point in run.curve)
    save(path, json.dumps(content, indent=1)[:-2] + f',\n "curve": [\n{lines}\n ]\n}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="steps of the joint training")
    parser.add_argument("--minutes", type=float, help="end the joint training after this many minutes at the latest")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where an interrupted run is saved")
    parser.add_argument("--out", type=Path, default=MODELS, help="the models folder to write")
    options = parser.parse_args()
    torch.set_flush_denormal(True)

    recipe, shape = replace(Recipe(), steps=options.steps), layouts.NANO
    slim = train_autoencoder(recipe, options.cache)
    latents = encode_pool(recipe, options.cache, slim)
    texts = train_encoders(recipe, shape, options.cache)
    run = Run(recipe, shape, texts, latents, options.cache, options.minutes)
    train_flow(run)
    polish_decoder(recipe, options.cache, slim)
    metadata = {"recipe": json.dumps(asdict(recipe)), "steps": str(run.step), "minutes": f"{run.elapsed / 60:.1f}"}
    write_curve(run, options.out / "training.json")
    paths = layouts.write(options.out, finished(run, shape, slim), torch.float16, TABLE_DTYPE, metadata)
    for path in paths.values():
        tqdm.write(f"{path.stat().st_size:>10,} bytes  {path}")


if __name__ == "__main__":
    main()
