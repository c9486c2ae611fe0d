"""How the two encoders learn to read, before there is a picture. Needs ComfyUI.

FLUX's encoders came to it trained, and stayed as they were: CLIP had learned to sum up a caption in one vector, T5 to
say in each row what that word means among the others. Ours learn the same from captions alone. A small reader, thrown
away afterwards, asks CLIP's vector and T5's rows what the caption says of each place in the picture.
"""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from . import layouts, optimizers, scenes
from .text import CAPTIONS, T5_LENGTHS, Tokens, choose

# What is asked of each place, and how many answers there are beside "nothing".
ATTRIBUTES = {"colour": scenes.COLOURS, "shape": scenes.SHAPES, "fill": scenes.FILLS, "size": scenes.SIZES}
ANSWERS = [len(table) + 1 for table in ATTRIBUTES.values()]
PLACES = [*scenes.PLACES, "inside"]  # an object inside another is asked for on its own
TOLD = {"whole": 0.5, "objects": 0.35, "background": 0.12, "nothing": 0.03}


class TextEncoders(nn.Module):
    """CLIP-L and T5 as FLUX uses them: token ids in, a vector and a row per token out."""

    def __init__(self, shape: layouts.Shape, seed: int):
        super().__init__()
        parts = layouts.modules(shape, seed)
        self.clip_l, self.t5xxl = parts["clip_l"], parts["t5xxl"]
        for name, value in self.t5xxl.named_parameters():
            if name.endswith("SelfAttention.q.weight"):
                # T5 does not scale its attention's logits down, so it begins with small queries.
                value.data.mul_(0.025 * value.shape[1] ** 0.5)

    def vec(self, ids: Tensor, lengths: list[int]) -> Tensor:
        """CLIP's state at the first end token, after the final norm, not projected: [B, 77] -> [B, clip_width].

        What stands behind the longest caption is left out: no token sees those after it.
        """
        longest, clip = max(lengths), self.clip_l.text_model
        x = clip.embeddings.token_embedding(ids[:, :longest]) + clip.embeddings.position_embedding.weight[:longest]
        later = torch.full((longest, longest), -torch.inf).triu(1)
        x = clip.final_layer_norm(clip.encoder(x, mask=later)[0])
        return x[torch.arange(len(x)), torch.tensor(lengths) - 1]

    def txt(self, ids: Tensor) -> Tensor:
        """T5's rows, pads included and nothing masked: [B, L] -> [B, L, t5_width]."""
        return self.t5xxl(ids, None)[0]

    @torch.no_grad()
    def round_tables(self, dtype: torch.dtype) -> None:
        """Round the token tables to what the files will hold, so that FLUX learns from what it will be given."""
        for name, table in self.named_parameters():
            if name.endswith(layouts.TABLES):
                table.copy_(table.to(dtype).float())


class Reader(nn.Module):
    """Asks every place for its object, and the whole for its background."""

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
        asked = self.look_up(self.questions.expand(len(rows), -1, -1), rows, rows, need_weights=False)[0]
        return self.t5_object(asked[:, :-1]), self.t5_background(asked[:, -1])

    def clip(self, vec: Tensor) -> tuple[Tensor, Tensor]:
        return self.clip_object(vec).unflatten(1, (len(PLACES), -1)), self.clip_background(vec)


def truth(scene: scenes.Scene, told: str) -> tuple[list[list[int]], int]:
    """What a caption says: four answers for each place, and one for the background. The last answer is "nothing"."""
    nothing = [count - 1 for count in ANSWERS]
    objects = dict.fromkeys(PLACES, nothing)
    if told in ("whole", "objects"):
        for index, item in enumerate(scene.objects):
            place = "inside" if scene.relation == "inside" and index == 0 else item.place
            said = (item.colour, item.shape, item.fill, item.size)
            objects[place] = [list(table).index(word) for table, word in zip(ATTRIBUTES.values(), said, strict=True)]
    looks = list(scenes.BACKGROUNDS)
    return list(objects.values()), looks.index(scene.background) if told in ("whole", "background") else len(looks)


def _object_loss(answers: Tensor, objects: Tensor) -> Tensor:
    """Cross-entropy over places and attributes; most places are empty, so an empty one counts a tenth."""
    losses = []
    for index, part in enumerate(answers.split(ANSWERS, dim=-1)):
        weight = torch.tensor([1.0] * (ANSWERS[index] - 1) + [0.1])
        losses.append(F.cross_entropy(part.flatten(0, 1), objects[..., index].flatten(), weight))
    return sum(losses)


@dataclass
class Understood:
    """Of the captions in a lesson, the shares of which every word about objects was understood."""

    one: float  # captions about one object
    more: float

    @classmethod
    def of(cls, answers: Tensor, objects: Tensor) -> "Understood":
        said = torch.stack([part.argmax(-1) for part in answers.split(ANSWERS, dim=-1)], -1)
        right, count = (said == objects).all(-1).all(-1).float(), (objects[..., 0] < ANSWERS[0] - 1).sum(1)
        return cls(right[count == 1].mean().item(), right[count > 1].mean().item())

    def __str__(self) -> str:
        return f"{self.one:.2f} {self.more:.2f}"


def train(
    encoders: TextEncoders, shape: layouts.Shape, steps: int, seed: int, batch: int = 128, lr: float = 3e-3
) -> TextEncoders:
    """Teach both encoders at once; the learning rate warms up and falls with a cosine."""
    torch.manual_seed(seed)
    layouts.make_trainable(encoders)
    reader, tokens, rng = Reader(shape), Tokens(), random.Random(seed)
    learning = [*encoders.parameters(), *reader.parameters()]
    both = optimizers.of(encoders, reader, inner=("encoder.",), lr=lr)
    bar = tqdm(range(steps), desc="encoders", mininterval=5)
    for step in bar:
        drawn = [scenes.random_scene(rng) for _ in range(batch)]
        told = [choose(rng, TOLD) for _ in drawn]
        texts = [CAPTIONS[kind](scene, rng) for kind, scene in zip(told, drawn, strict=True)]
        objects, looks = map(torch.tensor, zip(*map(truth, drawn, told), strict=True))
        clip, t5 = tokens.clip(texts, rng), tokens.t5(texts, choose(rng, T5_LENGTHS), rng)
        with torch.autocast("cpu", torch.bfloat16):
            answers = {"clip": reader.clip(encoders.vec(*clip)), "t5": reader.t5(encoders.txt(t5))}
        value = sum(
            _object_loss(said.float(), objects) + F.cross_entropy(look.float(), looks)
            for said, look in answers.values()
        )
        reader.zero_grad()
        encoders.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizers.step(both, lr * optimizers.cosine(step, step / steps, warmup=100))
        if step % 20 == 0:
            read = {stream: str(Understood.of(said, objects)) for stream, (said, _) in answers.items()}
            bar.set_postfix(loss=f"{value.item():.3f}", **read, refresh=False)
    return encoders
