"""ComfyUI's native stages on models of any size, with which the pack's stages are compared bit for bit."""

from pathlib import Path

import comfy.samplers
import comfy.sd
import comfy.utils
import comfy_extras.nodes_cond
import comfy_extras.nodes_flux
import torch
from comfy.supported_models_base import ClipTarget
from safetensors.torch import load_file

from flux_duet.nodes.encode.load import layout

LAYOUTS = {"clip_l": layout.CLIP_L, "t5xxl": layout.T5}
Paths = dict[str, Path]


def config(name: str, path: Path) -> dict:
    """ComfyUI's options for small encoders: their sizes."""
    return layout.check({key: tuple(value.shape) for key, value in load_file(path).items()}, LAYOUTS[name], path.name)


def dual(paths: Paths, embeddings: str | None = None, **options) -> comfy.sd.CLIP:
    """The CLIP of DualCLIPLoader with type flux; `options` are `load_device` and the like."""
    return comfy.sd.load_clip(
        [str(paths[name]) for name in ("clip_l", "t5xxl")],
        embedding_directory=embeddings,
        clip_type=comfy.sd.CLIPType.FLUX,
        # For CLIP-L it reads the key "model_config", and writes the positions into it.
        model_options={
            "model_config": config("clip_l", paths["clip_l"]),
            "t5xxl_model_config": config("t5xxl", paths["t5xxl"]),
            **options,
        },
    )


def clip(model: type, tokenizer: type, paths: Paths, *names: str, **options) -> comfy.sd.CLIP:
    """A CLIP of any family, as ComfyUI's loaders put it together, from the named encoders."""
    configs = {f"{name}_model_config": config(name, paths[name]) for name in names}
    state_dicts = [comfy.utils.load_torch_file(str(paths[name]), safe_load=True) for name in names]
    return comfy.sd.CLIP(ClipTarget(tokenizer, model), state_dict=state_dicts, model_options={**configs, **options})


def encode(clip: comfy.sd.CLIP, clip_text: str, t5_text: str, guidance: float = 3.5) -> list:
    return comfy_extras.nodes_flux.CLIPTextEncodeFlux.execute(clip, clip_text, t5_text, guidance)[0]


def with_t5_options(clip: comfy.sd.CLIP, min_length: int, min_padding: int = 0) -> comfy.sd.CLIP:
    return comfy_extras.nodes_cond.T5TokenizerOptions.execute(clip, min_padding, min_length)[0]


def masks_in_use(model, positive: list, latent: dict, sigmas: torch.Tensor) -> list[torch.Tensor]:
    """[B, C, h, w] at each of a run's sigmas: the weight with which the sampler uses the model's output.

    Measured on the sampler itself: its result for a model that returns 1 everywhere, minus that for one that returns 0.
    """
    model, answer, found = model.clone(), [0.0], []
    model.set_model_unet_function_wrapper(lambda _, given: torch.full_like(given["input"], answer[0]))

    def sampler(ask, x, sigmas, extra_args=None, callback=None, disable=None):
        for sigma in sigmas[:-1]:
            out = []
            for answer[0] in (0.0, 1.0):
                out.append(ask(x, sigma.expand(len(x)), **extra_args))
            found.append(out[1] - out[0])
        return x

    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, positive)
    guider.sample(
        torch.zeros_like(latent["samples"]),
        latent["samples"],
        comfy.samplers.KSAMPLER(sampler),
        sigmas,
        denoise_mask=latent.get("noise_mask"),
        disable_pbar=True,
        seed=0,
    )
    return found


def assert_same(ours: list, theirs: list) -> None:
    """Asserts that two CONDITIONINGs are equal: the number of entries, their keys, and every tensor bit for bit."""
    assert len(ours) == len(theirs)
    for (txt, extras), (their_txt, their_extras) in zip(ours, theirs, strict=True):
        assert extras.keys() == their_extras.keys()
        for value, other in [(txt, their_txt), *((extras[key], their_extras[key]) for key in extras)]:
            if torch.is_tensor(other):
                assert (value.dtype, value.device, value.shape) == (other.dtype, other.device, other.shape)
                assert torch.equal(value, other), f"differ by {(value.double() - other.double()).abs().max()}"
            else:
                assert value is other or value == other
