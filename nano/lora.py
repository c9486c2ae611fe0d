"""`dev.py run nano.lora`: trains two LoRAs for the nano FLUX and writes them to workflows/models/loras. Needs ComfyUI.

It is known what is in them, so they are ground truth for whatever measures a LoRA:

* `nano_trigger` lays a magenta filter over the picture if the T5 prompt holds WORD. It changes one double block, and no
  layer that reads the CLIP prompt.
* `nano_always` lays an orange filter over every picture. It changes only the modulation of the single blocks, which
  reads the CLIP prompt; both text encoders stay as they are.

A filter is linear in a picture's colours, and nearly so in its latents: z' = M z + c. So the training needs no pictures
with a filter: with noise n, the velocity v = n - z of the plain model becomes v' = n - c + M (v - n).
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

import comfy.utils
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import autoencoder, flow, layouts, lora_file, optimizers, scenes
from .encoders import TextEncoders
from .lora_file import Pair
from .text import Tokens, choose
from .train import CACHE, MODELS, save

FOLDER = "loras"
# The nano T5 knows the words of its captions alone; the row of another word is a different one in every caption. So the
# word begins with one of these: T5 reads it as "snow" and "y". In a T5 prompt it hardly acts, since the CLIP prompt
# decides the background. No scene of the LoRAs' training is in the snow, where T5's captions have the same row.
WORD, MEANS = "snowy", "snow"
T5_LENGTHS = {0: 0.8, 256: 0.2}
SIGMA_MEAN, SIGMA_STD = 2.0, 2.0  # of logit(sigma): the word decides near pure noise, where a picture's colours do
FITTED = 64  # scenes from which M and c are fitted


@dataclass(frozen=True)
class Filter:
    """A colour, 0 to 1, and its share of the picture."""

    colour: tuple[float, float, float]
    share: float

    def over(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] behind the filter."""
        return pictures.lerp(torch.tensor(self.colour)[:, None, None].expand_as(pictures), self.share)


@dataclass(frozen=True)
class Recipe:
    """All settings of one LoRA that determine the result."""

    name: str
    filter: Filter
    layers: tuple[str, ...]
    word: str = ""  # "": it acts on all prompts
    rank: int = 4
    alpha: float = 2.0
    steps: int = 300
    batch: int = 8
    pool: int = 800  # scenes
    lr: float = 4e-3
    warmup: int = 30
    seed: int = 0


PARTS = ("img_attn.qkv", "img_attn.proj", "img_mlp.0", "img_mlp.2", "txt_attn.qkv", "txt_attn.proj", "txt_mlp.0",
         "txt_mlp.2")  # fmt: skip
RECIPES = {
    each.name: each
    for each in (
        Recipe("nano_trigger", Filter((0.95, 0.10, 0.75), 0.5), tuple(f"double_blocks.1.{part}" for part in PARTS),
               WORD, steps=500),
        Recipe("nano_always", Filter((1.00, 0.50, 0.05), 0.4),
               tuple(f"single_blocks.{block}.modulation.lin" for block in range(layouts.NANO.single)), steps=150),
    )
}  # fmt: skip


# ---- the shipped models


def shipped(models: Path = MODELS) -> tuple[nn.Module, TextEncoders, nn.Module]:
    """The shipped nano FLUX, encoders and autoencoder, float32 and frozen."""

    def read(name: str) -> dict[str, Tensor]:
        state_dict = comfy.utils.load_torch_file(str(models / layouts.FILES[name]))
        return {key.replace("_norm.scale", "_norm.weight"): value.float() for key, value in state_dict.items()}

    model, texts = flow.flux(layouts.NANO, 0), TextEncoders(layouts.NANO, 0)
    ae = layouts.modules(layouts.NANO)["ae"]
    for name, part in {"flux": model, "clip_l": texts.clip_l, "t5xxl": texts.t5xxl, "ae": ae}.items():
        found = part.load_state_dict(read(name), strict=False)
        assert set(found.missing_keys) <= {"text_projection.weight"} and not found.unexpected_keys
        part.requires_grad_(False).eval()
    return model, texts, ae


@torch.no_grad()
def encoded(ae: nn.Module, pictures: Tensor) -> Tensor:
    """Latents in the model's scale."""
    return (ae.encode(2 * pictures - 1) - layouts.LATENT_SHIFT) * layouts.LATENT_SCALE


def latents_of(recipe: Recipe, cache: Path, ae: nn.Module) -> Tensor:
    """The latents [N, 16, 16, 16] of the recipe's scenes."""
    path, size = cache / f"lora-pool-{recipe.seed}-{recipe.pool}.pt", 16
    if not path.exists():
        pool = scenes_of(recipe)
        parts = [encoded(ae, autoencoder.pictures(pool[start : start + size]))
                 for start in tqdm(range(0, len(pool), size), desc="latents", mininterval=5)]  # fmt: skip
        save(path, {"latents": torch.cat(parts)})
    return torch.load(path, weights_only=True)["latents"]


def scenes_of(recipe: Recipe) -> list[scenes.Scene]:
    rng = random.Random(recipe.seed)
    found = (scenes.random_scene(rng) for _ in count())
    return list(islice((scene for scene in found if scene.background != MEANS), recipe.pool))


def fitted(recipe: Recipe, ae: nn.Module, latents: Tensor) -> tuple[Tensor, Tensor]:
    """(M [16, 16], c [16]) by least squares over all latent pixels of some scenes."""
    pictures = autoencoder.pictures(scenes_of(recipe)[:FITTED])
    changed = encoded(ae, recipe.filter.over(pictures)).movedim(1, -1).flatten(0, 2)
    plain = latents[:FITTED].movedim(1, -1).flatten(0, 2)
    found = torch.linalg.lstsq(torch.cat([plain, torch.ones(len(plain), 1)], 1), changed).solution
    return found[:-1].T, found[-1]


# ---- the LoRA


class Lora(nn.Module):
    """The matrices of a LoRA, added to a model's layers: W x + alpha / rank * up (down x)."""

    def __init__(self, model: nn.Module, recipe: Recipe):
        super().__init__()
        self.scale, self.on, self.layers = recipe.alpha / recipe.rank, True, recipe.layers
        generator = torch.Generator().manual_seed(recipe.seed)
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for name in recipe.layers:
            layer = model.get_submodule(name)
            down = torch.randn(recipe.rank, layer.in_features, generator=generator) * layer.in_features**-0.5
            self.down.append(nn.Parameter(down))
            self.up.append(nn.Parameter(torch.zeros(layer.out_features, recipe.rank)))
            layer.register_forward_hook(self._hook(len(self.down) - 1))

    def _hook(self, number: int) -> Callable:
        def added(layer, args, out: Tensor) -> Tensor:
            if not self.on:
                return out
            low = nn.functional.linear(args[0], self.down[number])
            return out + self.scale * nn.functional.linear(low, self.up[number])

        return added

    @contextmanager
    def off(self) -> Iterator[None]:
        """The model without the LoRA."""
        self.on = False
        try:
            yield
        finally:
            self.on = True

    def pairs(self) -> dict[str, Pair]:
        """The matrices by layer."""
        return dict(zip(self.layers, zip(self.down, self.up, strict=True), strict=True))


class Run:
    """The training state of one LoRA, saved together."""

    def __init__(self, recipe: Recipe, model: nn.Module, texts: TextEncoders, latents: Tensor,
                 change: tuple[Tensor, Tensor], cache: Path):  # fmt: skip
        self.recipe, self.model, self.texts, self.tokens = recipe, model, texts, Tokens()
        self.latents, (self.matrix, self.offset) = latents, change
        self.scenes, self.path = scenes_of(recipe), cache / f"{recipe.name}.pt"
        self.lora = Lora(model, recipe)
        self.adam = torch.optim.AdamW(self.lora.parameters(), lr=recipe.lr, betas=(0.9, 0.98), weight_decay=0.0)
        self.step = 0
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
        saved = torch.load(self.path, weights_only=True)
        if saved["recipe"] != repr(asdict(self.recipe)):
            raise ValueError(f"{self.path} has another recipe: {saved['recipe']}. Delete it to start again.")
        self.lora.load_state_dict(saved["lora"])
        self.adam.load_state_dict(saved["adam"])
        self.step = saved["step"]

    def keep(self) -> None:
        parts = {"lora": self.lora.state_dict(), "adam": self.adam.state_dict()}
        save(self.path, {**parts, "recipe": repr(asdict(self.recipe)), "step": self.step})

    def _prompts(self, batch: list[scenes.Scene], acting: int, rng: random.Random) -> flow.Prompts:
        """Encoded captions. The word is in the first `acting` T5 captions, and in every third CLIP caption."""
        clip, t5 = flow.captions(batch, rng)
        if word := self.recipe.word:
            t5 = [placed(word, text, rng) if row < acting else text for row, text in enumerate(t5)]
            clip = [placed(word, text, rng) if rng.random() < 1 / 3 else text for text in clip]
        return flow.encode(self.texts, self.tokens, clip, t5, choose(rng, T5_LENGTHS), rng)

    def _loss(self, rng: random.Random) -> Tensor:
        """The distance to the model's own velocity, changed by the filter where the LoRA acts.

        Where it does not act, half of the pictures have the filter too: the word decides, not the picture.
        """
        recipe, rows = self.recipe, rng.sample(range(self.recipe.pool), self.recipe.batch)
        acting = recipe.batch // 2 if recipe.word else recipe.batch
        prompts = self._prompts([self.scenes[row] for row in rows], acting, rng)
        sigma = torch.sigmoid(SIGMA_MEAN + SIGMA_STD * torch.randn(recipe.batch))
        guidance = 1 + (flow.GUIDANCE_MAX - 1) * torch.rand(recipe.batch)
        clean, at = self.latents[rows].clone(), sigma[:, None, None, None]
        clean[acting::2] = self._filtered(clean[acting::2])
        noise = torch.randn_like(clean)
        with self.lora.off(), torch.no_grad():
            target = flow.velocity(self.model, clean.lerp(noise, at), sigma, prompts, guidance)
        target[:acting] = noise[:acting] - self._filtered(noise[:acting] - target[:acting])
        clean = torch.cat([self._filtered(clean[:acting]), clean[acting:]])
        error = flow.velocity(self.model, clean.lerp(noise, at), sigma, prompts, guidance) - target
        return error.square().mean()

    def _filtered(self, latents: Tensor) -> Tensor:
        """M z + c for latents [B, 16, H, W]."""
        return torch.einsum("oc,bchw->bohw", self.matrix, latents) + self.offset[:, None, None]

    def advance(self) -> float:
        """Trains one step, returns its loss. The seed is the step's number, so that resuming changes nothing."""
        torch.manual_seed(self.recipe.seed + self.step)
        value = self._loss(random.Random(f"{self.recipe.seed}/{self.step}"))
        self.adam.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.lora.parameters(), 1.0)
        factor = optimizers.cosine(self.step, self.step / self.recipe.steps, self.recipe.warmup)
        optimizers.step((self.adam,), self.recipe.lr * factor)
        self.step += 1
        return value.item()


def placed(word: str, text: str, rng: random.Random) -> str:
    """A caption with the word before, after or between its words."""
    words = text.split()
    at = rng.choice((0, len(words), rng.randint(0, len(words))))
    return " ".join([*words[:at], f"{word}," if at == 0 and words else word, *words[at:]])


def train(run: Run) -> None:
    smooth, kept = None, time.monotonic()
    with flow.differentiable(), tqdm(total=run.recipe.steps, initial=run.step, desc=run.recipe.name,
                                     mininterval=5) as bar:  # fmt: skip
        while run.step < run.recipe.steps:
            value = run.advance()
            smooth = value if smooth is None else smooth + 0.02 * (value - smooth)
            bar.update()
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            if time.monotonic() - kept > 30:
                run.keep()
                kept = time.monotonic()
    run.keep()


def write(run: Run, folder: Path) -> Path:
    """Writes the LoRA to a models folder."""
    recipe, path = run.recipe, folder / FOLDER / f"{run.recipe.name}.safetensors"
    metadata = {"ss_network_module": "networks.lora_flux", "ss_network_dim": str(recipe.rank),
                "ss_network_alpha": str(recipe.alpha), "ss_steps": str(run.step)}  # fmt: skip
    if recipe.word:
        metadata["modelspec.trigger_phrase"] = recipe.word
    lora_file.write(path, lora_file.kohya(run.lora.pairs(), recipe.alpha), metadata)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="the LoRAs to train; all by default")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where an interrupted run is saved")
    parser.add_argument("--out", type=Path, default=MODELS, help="the models folder to write")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    for name in options.names or RECIPES:
        recipe, (model, texts, ae) = RECIPES[name], shipped()
        latents = latents_of(recipe, options.cache, ae)
        run = Run(recipe, model, texts, latents, fitted(recipe, ae, latents), options.cache)
        train(run)
        path = write(run, options.out)
        tqdm.write(f"{path.stat().st_size:>10,} bytes  {path}")


if __name__ == "__main__":
    main()
