"""Token Heatmap: watched runs, and the dense softmax of the same runs."""

from functools import partial

import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.tests.comfy import sampling

HEIGHT, WIDTH = 10, 6  # of the latent: 5 x 3 tokens
LATENT = {"samples": torch.zeros(1, 16, HEIGHT, WIDTH)}
TEXT = "a red circle, and a redder ring at night"
BLOCKS, STEPS = 5, 3


sampled = partial(sampling.sampled, latent=LATENT, steps=STEPS)


def prompt(streams, txt="txt") -> list:
    return DualPrompt.execute(streams["vec"], streams[txt] if isinstance(txt, str) else txt, 3.5)[0]


def watched(model, txt, positive, words="", measure="mass", **options):
    ready, probe = Heatmap.execute(model, txt, words, measure, **options.pop("heatmap", {})).result
    latent = sampled(ready, positive, **options)
    return probe.reading(latent), latent


def dense(model, positive, rows: dict[str, list[int]], **options):
    """[steps, blocks, words, image]: the softmax of all logits, computed in an override of ComfyUI's attention."""
    found = []

    def attend(func, q, k, v, heads, *args, mask=None, **kwargs):
        logits = q.float() @ k.float().mT * q.shape[-1] ** -0.5 + (0 if mask is None else mask)
        share = logits.softmax(-1).mean(1)[0]
        txt = q.shape[2] - HEIGHT * WIDTH // 4
        assert torch.allclose(share.sum(-1), torch.ones(len(share)), atol=1e-6)
        found.append(torch.stack([share[txt:, each].sum(-1) for each in rows.values()]))
        return func(q, k, v, heads, *args, mask=mask, **kwargs)

    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = attend
    sampled(clone, positive, **options)
    return torch.stack(found).unflatten(0, (STEPS, BLOCKS))


def rows_of(txt, words) -> dict[str, list[int]]:
    from flux_duet.nodes.probe.heat.tokens import wanted

    found = wanted(txt, ",".join(words))
    return {word: found.rows(number).tolist() for number, word in enumerate(words)}
