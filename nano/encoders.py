"""Trains the two text encoders, before the image model. Needs ComfyUI.

FLUX.1's encoders were trained before it and are frozen: CLIP summarizes a caption in one vector, T5 encodes in each row
what a token means in its context. The nano encoders learn this from captions alone. A small reader, which is discarded
afterwards, predicts from CLIP's vector and from T5's rows what the caption says about each place in the picture.
"""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from . import layouts, optimizers, scenes
from .optimizers import precision
from .text import CAPTIONS, LONG, T5_LENGTHS, Tokens, choose

# The attributes that are predicted for each place, and the number of classes: one more than values, for "nothing".
ATTRIBUTES = {"colour": scenes.COLOURS, "shape": scenes.SHAPES, "fill": scenes.FILLS, "size": scenes.SIZES}
ANSWERS = [len(table) + 1 for table in ATTRIBUTES.values()]
PLACES = [*scenes.PLACES, "inside"]  # an object inside another has a place of its own
KINDS = {"whole": 0.5, "objects": 0.35, "background": 0.12, "nothing": 0.03}


class TextEncoders(nn.Module):
    """CLIP-L and T5 as used by FLUX: token ids to a vector, and to one row per token."""

    def __init__(self, shape: layouts.Shape, seed: int):
        super().__init__()
        parts = layouts.modules(shape, seed)
        self.clip_l, self.t5xxl = parts["clip_l"], parts["t5xxl"]
        for name, value in self.t5xxl.named_parameters():
            if name.endswith("SelfAttention.q.weight"):
                # T5 does not scale its attention logits, so its queries are initialized small.
                value.data.mul_(0.025 * value.shape[1] ** 0.5)

    def vec(self, ids: Tensor, lengths: list[int]) -> Tensor:
        """CLIP's state at the first end token, after the final norm, not projected: [B, 77] -> [B, clip_width].

        Positions after the longest caption are left out: no token attends to later ones.
        """
        longest, clip = max(lengths), self.clip_l.text_model
        x = clip.embeddings.token_embedding(ids[:, :longest]) + clip.embeddings.position_embedding.weight[:longest]
        later = torch.full((longest, longest), -torch.inf).triu(1)
        x = clip.final_layer_norm(clip.encoder(x, mask=later)[0])
        return x[torch.arange(len(x)), torch.tensor(lengths) - 1]

    def txt(self, ids: Tensor) -> Tensor:
        """T5's rows including pads, without a mask: [B, L] -> [B, L, t5_width]."""
        return self.t5xxl(ids, None)[0]

    @torch.no_grad()
    def round_tables(self, dtype: torch.dtype) -> None:
        """Rounds the token tables to the files' dtype, so that FLUX is trained with the values that are saved."""
        for name, table in self.named_parameters():
            if name.endswith(layouts.TABLES):
                table.copy_(table.to(dtype).float())


class Reader(nn.Module):
    """Predicts the object at each place, and the background."""

    def __init__(self, shape: layouts.Shape):
        super().__init__()
        width, answers = 128, sum(ANSWERS)
        self.questions = nn.Parameter(0.3 * torch.randn(len(PLACES) + 1, shape.t5_width))
        self.look_up = nn.MultiheadAttention(shape.t5_width, 1, batch_first=True)
        self.t5_object = nn.Sequential(nn.Linear(shape.t5_width, width), nn.GELU(), nn.Linear(width, answers))
        self.t5_background = nn.Linear(shape.t5_width, len(scenes.BACKGROUNDS) + 1)
        self.clip_object = nn.Sequential(
            nn.Linear(shape.clip_width, 4 * width), nn.GELU(), nn.Linear(4 * width, len(PLACES) * answers)
        )
        self.clip_background = nn.Linear(shape.clip_width, len(scenes.BACKGROUNDS) + 1)

    def t5(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Answers for objects [B, places, answers] and for the background [B, backgrounds + 1]."""
        answers = self.look_up(self.questions.expand(len(rows), -1, -1), rows, rows, need_weights=False)[0]
        return self.t5_object(answers[:, :-1]), self.t5_background(answers[:, -1])

    def clip(self, vec: Tensor) -> tuple[Tensor, Tensor]:
        return self.clip_object(vec).unflatten(1, (len(PLACES), -1)), self.clip_background(vec)


def truth(scene: scenes.Scene, kind: str) -> tuple[list[list[int]], int]:
    """The content of a caption: four classes for each place, and one for the background; the last is "nothing".

    `kind` is the kind of caption, a key of CAPTIONS.
    """
    nothing = [count - 1 for count in ANSWERS]
    objects = dict.fromkeys(PLACES, nothing)
    if kind in ("whole", "objects"):
        for index, item in enumerate(scene.objects):
            place = "inside" if scene.relation == "inside" and index == 0 else item.place
            values = (item.colour, item.shape, item.fill, item.size)
            objects[place] = [list(table).index(word) for table, word in zip(ATTRIBUTES.values(), values, strict=True)]
    looks = list(scenes.BACKGROUNDS)
    return list(objects.values()), looks.index(scene.background) if kind in ("whole", "background") else len(looks)


def _object_loss(answers: Tensor, objects: Tensor) -> Tensor:
    """Cross-entropy over places and attributes; most places are empty, so an empty one counts a tenth."""
    losses = []
    for index, part in enumerate(answers.split(ANSWERS, dim=-1)):
        weight = torch.tensor([1.0] * (ANSWERS[index] - 1) + [0.1])
        losses.append(F.cross_entropy(part.flatten(0, 1), objects[..., index].flatten(), weight))
    return sum(losses)


@dataclass
class Understood:
    """The shares of captions in a batch of which all attributes of all objects are predicted correctly."""

    one: float  # captions about one object
    more: float

    @classmethod
    def of(cls, answers: Tensor, objects: Tensor) -> "Understood":
        read = torch.stack([part.argmax(-1) for part in answers.split(ANSWERS, dim=-1)], -1)
        right, count = (read == objects).all(-1).all(-1).float(), (objects[..., 0] < ANSWERS[0] - 1).sum(1)
        return cls(right[count == 1].mean().item(), right[count > 1].mean().item())

    def __str__(self) -> str:
        return f"{self.one:.2f} {self.more:.2f}"


def train(
    encoders: TextEncoders, shape: layouts.Shape, steps: int, seed: int, batch: int = 128, lr: float = 3e-3
) -> TextEncoders:
    """Trains both encoders together; the learning rate warms up and then falls as a cosine."""
    torch.manual_seed(seed)
    layouts.make_trainable(encoders)
    reader, tokens, rng = Reader(shape), Tokens(), random.Random(seed)
    learning = [*encoders.parameters(), *reader.parameters()]
    both = optimizers.of(encoders, reader, inner=("encoder.",), lr=lr)
    bar = tqdm(range(steps), desc="encoders", mininterval=5)
    for step in bar:
        drawn = [scenes.random_scene(rng) for _ in range(batch)]
        kinds = [choose(rng, KINDS) for _ in drawn]
        long = choose(rng, LONG)
        texts = [CAPTIONS[kind](scene, rng, long=long) for kind, scene in zip(kinds, drawn, strict=True)]
        objects, looks = map(torch.tensor, zip(*map(truth, drawn, kinds), strict=True))
        clip, t5 = tokens.clip(texts, rng), tokens.t5(texts, choose(rng, T5_LENGTHS), rng)
        with precision():
            answers = {"clip": reader.clip(encoders.vec(*clip)), "t5": reader.t5(encoders.txt(t5))}
        value = sum(
            _object_loss(about.float(), objects) + F.cross_entropy(look.float(), looks)
            for about, look in answers.values()
        )
        reader.zero_grad()
        encoders.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizers.step(both, lr * optimizers.cosine(step, step / steps, warmup=100))
        if step % 20 == 0:
            read = {stream: str(Understood.of(about, objects)) for stream, (about, _) in answers.items()}
            bar.set_postfix(loss=f"{value.item():.3f}", **read, refresh=False)
    return encoders
