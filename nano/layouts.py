"""Small FLUX.1 models with the key names and layouts of the official checkpoints. Needs ComfyUI.

The parameters are made by ComfyUI's own classes, so all key names and shapes are correct, and any loader of FLUX.1-dev,
clip_l, t5xxl and a Flux TAESD loads these too. Two things differ on disk: BFL names a norm's weight `scale`, and clip_l
lacks the projection that FLUX.1 never uses.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from comfy import ops
from comfy.clip_model import CLIPTextModel
from comfy.ldm.flux.model import Flux
from comfy.taesd.taesd import TAESD
from comfy.text_encoders.t5 import T5, T5LayerNorm
from safetensors.torch import save_file

# Paths in a models folder, where ComfyUI's loaders look.
FILES = {
    "flux": "diffusion_models/nano_flux.safetensors",
    "clip_l": "text_encoders/nano_clip_l.safetensors",
    "t5xxl": "text_encoders/nano_t5xxl.safetensors",
    "ae": "vae/nano_ae.safetensors",
}

# BFL's latents have 16 channels; latent_formats.Flux removes this scale and shift before the model.
LATENT_CHANNELS, LATENT_SCALE, LATENT_SHIFT = 16, 0.3611, 0.1159

# The token tables: 49,408 and 32,128 rows, more than half of a nano model's parameters.
TABLES = ("text_model.embeddings.token_embedding.weight", "shared.weight")


@dataclass(frozen=True)
class Shape:
    """All sizes of a small FLUX.1. The heads follow from the widths: CLIP's are 64 wide, Flux's 128."""

    clip_width: int = 64
    clip_layers: int = 2
    clip_positions: int = 77
    t5_width: int = 64
    t5_layers: int = 2
    t5_heads: int = 2
    t5_head_width: int = 32
    t5_ff: int = 256
    hidden: int = 128
    double: int = 2
    single: int = 3
    guidance: bool = True

    def __post_init__(self) -> None:
        for name, unit in (("clip_width", 64), ("hidden", 128)):
            if getattr(self, name) % unit:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a multiple of {unit}, the width of a head")


# The models in workflows/models.
NANO = Shape(clip_layers=3, t5_layers=3, double=2, single=4)


def _flux(shape: Shape) -> Flux:
    """With the parameters that comfy/model_detection.py detects from the checkpoint."""
    return Flux(
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        patch_size=2,
        vec_in_dim=shape.clip_width,
        context_in_dim=shape.t5_width,
        hidden_size=shape.hidden,
        num_heads=shape.hidden // 128,
        mlp_ratio=4.0,
        depth=shape.double,
        depth_single_blocks=shape.single,
        axes_dim=[16, 56, 56],
        theta=10000,
        qkv_bias=True,
        guidance_embed=shape.guidance,
        txt_ids_dims=[],
        operations=ops.disable_weight_init,
    )


def _clip_l(shape: Shape) -> CLIPTextModel:
    """The fields of comfy/sd1_clip_config.json."""
    config = {
        "hidden_size": shape.clip_width,
        "intermediate_size": 4 * shape.clip_width,
        "num_hidden_layers": shape.clip_layers,
        "num_attention_heads": shape.clip_width // 64,
        "max_position_embeddings": shape.clip_positions,
        "hidden_act": "quick_gelu",
        "eos_token_id": 49407,
    }
    return CLIPTextModel(config, None, None, ops.disable_weight_init)


def _t5xxl(shape: Shape) -> T5:
    """The fields of comfy/text_encoders/t5_config_xxl.json."""
    config = {
        "d_model": shape.t5_width,
        "d_kv": shape.t5_head_width,
        "d_ff": shape.t5_ff,
        "num_heads": shape.t5_heads,
        "num_layers": shape.t5_layers,
        "vocab_size": 32128,
        "dense_act_fn": "gelu_pytorch_tanh",
        "is_gated_act": True,
        "model_type": "t5",
    }
    return T5(config, None, None, ops.disable_weight_init)


def _ae(shape: Shape) -> TAESD:
    """TAESD for Flux, with scale and shift in the file: its latents have the scale of BFL's autoencoder."""
    ae = TAESD(latent_channels=LATENT_CHANNELS)
    ae.vae_scale.data.fill_(LATENT_SCALE)
    ae.vae_shift.data.fill_(LATENT_SHIFT)
    return ae


BUILDERS = {"flux": _flux, "clip_l": _clip_l, "t5xxl": _t5xxl, "ae": _ae}

# Standard deviations of the initial weights, where 1 / sqrt(fan-in) is not suitable.
DEVIATIONS = {
    "token_embedding.weight": 0.3,
    "shared.weight": 0.3,
    "position_embedding.weight": 0.1,
    "relative_attention_bias.weight": 0.1,
}


def modules(shape: Shape, seed: int = 0) -> dict[str, torch.nn.Module]:
    """The four parts, trainable, with seeded random weights."""
    generator = torch.Generator().manual_seed(seed)
    parts = {name: build(shape) for name, build in BUILDERS.items()}
    for part in parts.values():
        _fill(part, generator)
    return parts


def random_weights(part: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The same module, with seeded random weights."""
    _fill(part, torch.Generator().manual_seed(seed))
    return part


@torch.no_grad()
def _fill(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Sets norms to 1, biases near 0, and other weights so that the output's variance equals the input's."""
    for name, value in module.named_parameters():
        if value.ndim == 0:  # vae_scale and vae_shift
            continue
        if value.ndim == 1 and name.endswith(".weight"):  # a norm
            value.fill_(1.0)
            continue
        fan_in = math.prod(value.shape[1:])
        fallback = 0.02 if value.ndim == 1 else fan_in**-0.5
        deviation = next((std for suffix, std in DEVIATIONS.items() if name.endswith(suffix)), fallback)
        value.normal_(0.0, deviation, generator=generator)


def make_trainable(module: torch.nn.Module) -> None:
    """Makes norms copy their inputs: the backward pass needs them unchanged, and ComfyUI's blocks add in place."""
    for layer in module.modules():
        if isinstance(layer, (torch.nn.LayerNorm, T5LayerNorm)):
            layer.register_forward_pre_hook(lambda _, args: (args[0].clone(), *args[1:]))


def official(parts: dict[str, torch.nn.Module]) -> dict[str, dict[str, torch.Tensor]]:
    """The state dicts with the official checkpoints' key names."""
    return {
        name: {
            key.replace("_norm.weight", "_norm.scale") if name == "flux" else key: value.detach().clone()
            for key, value in part.state_dict().items()
            if key != "text_projection.weight"
        }
        for name, part in parts.items()
    }


def random_state_dicts(shape: Shape = Shape(), seed: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    """Four official state dicts, float32, whose pictures depend on the prompt and that work in float16 too."""
    return official(modules(shape, seed))


def write(
    folder: Path, state_dicts: dict, dtype=torch.float32, table_dtype=None, metadata: dict[str, str] | None = None
) -> dict[str, Path]:
    """Writes state dicts to a models folder, atomically; returns the paths by part.

    `table_dtype` is for the two token tables alone: they are looked up, never multiplied, so loaders convert float8 to
    their own dtype.
    """
    paths = {}
    for name, state_dict in state_dicts.items():
        path = Path(folder) / FILES[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            key: value.to((table_dtype or dtype) if key in TABLES else dtype).contiguous()
            for key, value in state_dict.items()
        }
        partial = path.with_suffix(f".partial-{os.getpid()}")
        save_file(tensors, partial, metadata={"format": "pt", **(metadata or {})})
        os.replace(partial, path)
        paths[name] = path
    return paths


def save(folder: Path, shape: Shape = Shape(), seed: int = 0, dtype=torch.float32) -> dict[str, Path]:
    """Writes a random small FLUX.1 as four files to a models folder."""
    return write(folder, random_state_dicts(shape, seed), dtype)
