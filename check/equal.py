"""Are our results equal to the native nodes', bit for bit? Encoding, decoding, sampling. Needs ComfyUI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import comfy_extras.nodes_flux
import torch

import nodes

from ..nodes.condition.nodes import DualPrompt
from ..nodes.decode.nodes import VAEDecode
from ..nodes.encode.load.nodes import LoadClip, LoadT5
from ..nodes.encode.nodes import ClipEncode, T5Encode
from ..nodes.sample.nodes import MMDiTSampler
from .kit import CLIP_TEXT, SEED, T5_TEXT, Kit, randn
from .report import Equal, Row
from .sections import Section

GUIDANCE = 3.5
TEXTS = {
    "two prompts": (CLIP_TEXT, T5_TEXT),
    "empty prompts": ("", ""),
    "a weight in T5": (CLIP_TEXT, "a (red circle:1.3) and a (blue square:0.5)"),
    "more than 75 tokens": ("soft light, " * 60, "a red circle, " * 80),
}
# Our options for MMDiT Sampler; KSampler gets the same.
RUNS: dict[str, dict[str, Any]] = {
    "euler": {"sampler": "euler", "scheduler": "simple"},
    "dpmpp_2m": {"sampler": "dpmpp_2m", "scheduler": "beta"},
    "euler_ancestral": {"sampler": "euler_ancestral", "scheduler": "normal"},
    "image": {"sampler": "euler", "scheduler": "simple", "denoise": 0.6},
    "cfg": {"sampler": "euler", "scheduler": "simple", "cfg": 3.0},
}


def compared(what: str, native: torch.Tensor, ours: torch.Tensor) -> Equal:
    if native.shape != ours.shape or native.dtype != ours.dtype:
        return Equal(what, False, f"{native.dtype} {list(native.shape)} and {ours.dtype} {list(ours.shape)}")
    if not native.isfinite().all():
        return Equal(what, False, "the native result has values that are not finite, so equality means nothing")
    if torch.equal(native, ours):
        return Equal(what, True)
    return Equal(what, False, f"by up to {float((native.double() - ours.double()).abs().max()):.3g}")


def encoded(kit: Kit) -> Iterator[Row]:
    """CLIPTextEncodeFlux and our stages with our loaders; one side's encoders are in memory at a time."""
    encode = comfy_extras.nodes_flux.CLIPTextEncodeFlux.execute
    native = [encode(kit.models.dual(), clip, t5, GUIDANCE)[0] for clip, t5 in TEXTS.values()]
    names = kit.models.name("clip_l"), kit.models.name("t5xxl")
    kit.models.free()
    clip_l, t5xxl = LoadClip.execute(names[0])[0], LoadT5.execute(names[1])[0]
    for (what, (clip, t5)), [[txt, extras]] in zip(TEXTS.items(), native, strict=True):
        vec, rows = ClipEncode.execute(clip_l, clip)[0], T5Encode.execute(t5xxl, t5)[0]
        [[our_txt, our_extras]] = DualPrompt.execute(vec, rows, GUIDANCE)[0]
        yield compared(f"encode, {what}: vec", extras["pooled_output"], our_extras["pooled_output"])
        yield compared(f"encode, {what}: txt", txt, our_txt)
    yield from kit.models.take_notes()


def decoded(kit: Kit) -> Iterator[Row]:
    vae, samples = kit.models.vae(), {"samples": randn(3, *kit.latent()["samples"].shape)}
    native = nodes.VAEDecode().decode(vae, samples)[0]
    yield compared("decode", native, VAEDecode.execute(vae, samples)[0])
    yield from kit.models.take_notes()


def sampled(kit: Kit, name: str) -> Iterator[Row]:
    """KSampler and MMDiT Sampler on the same seed; an image to start from if `denoise` is set."""
    run, flux = RUNS[name], kit.models.flux()
    latent = {"samples": randn(4, *kit.latent()["samples"].shape)} if "denoise" in run else kit.latent()
    cfg, denoise = run.get("cfg", 1.0), run.get("denoise", 1.0)
    plan = SEED, kit.steps, cfg, run["sampler"], run["scheduler"]
    native = nodes.KSampler().sample(flux, *plan, kit.positive, kit.negative, latent, denoise)[0]
    started = time.perf_counter()
    ours = MMDiTSampler.execute(
        flux, kit.positive, latent, kit.negative if cfg > 1 else None, seed=SEED, steps=kit.steps, **run
    )[0]
    if cfg == 1:
        kit.evaluation = (time.perf_counter() - started) / kit.steps
    yield compared(f"sample, {', '.join(f'{key} {value}' for key, value in run.items())}",
                   native["samples"], ours["samples"])  # fmt: skip
    yield from kit.models.take_notes()


def sections() -> list[Section]:
    samplers = [
        Section(
            f"sampler.{name}",
            f"KSampler and MMDiT Sampler, {name}",
            partial(sampled, name=name),
            lambda kit, name=name: kit.expected(2 * kit.steps * (2 if "cfg" in RUNS[name] else 1)),
        )
        for name in RUNS
    ]
    return [
        *samplers,
        Section("decode", "VAEDecode and VAE Decode", decoded),
        Section("encode", "CLIPTextEncodeFlux and our stages", encoded),
    ]
