"""One run of a sampler, ours and ComfyUI's, from the same noise. The tests choose latent and steps."""

import nodes
from flux_duet.nodes.sample.nodes import MMDiTSampler

SEED = 5


def sampled(model, positive, negative=None, cfg=1.0, *, latent, steps, **options) -> dict:
    """MMDiT Sampler's LATENT, with euler and simple unless `options` override them."""
    plan = {"seed": SEED, "sampler": "euler", "scheduler": "simple", "denoise": 1.0, **options}
    return MMDiTSampler.execute(model, positive, latent, negative, cfg=cfg, steps=steps, **plan)[0]


def natively(model, positive, negative=None, cfg=1.0, *, latent, steps) -> dict:
    """KSampler's LATENT of the same run."""
    method = "euler", "simple"
    return nodes.KSampler().sample(model, SEED, steps, cfg, *method, positive, negative or positive, latent, 1.0)[0]


def chained(model, *parts: tuple[int, list, list], cfg=1.0, latent, steps) -> dict:
    """Chained KSampler (Advanced), each up to its step with its (positive, negative) and with leftover noise."""
    start = 0
    for end, positive, negative in parts:
        ends = "enable" if start == 0 else "disable", "enable" if end < steps else "disable"
        method = "euler", "simple"
        latent = nodes.KSamplerAdvanced().sample(
            model, ends[0], SEED, steps, cfg, *method, positive, negative, latent, start, end, ends[1]
        )[0]
        start = end
    return latent
