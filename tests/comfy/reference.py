"""Small FLUX.1s in Hugging Face's code: transformers' encoders, diffusers' transformer, autoencoder and pipeline.

The weights with their official names are made here, the vocabularies are those that ComfyUI ships; every
computation on them is Hugging Face's.
"""

import functools
from pathlib import Path
from types import FunctionType

import comfy
from diffusers import AutoencoderTiny, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from flux_duet.nano.layouts import Shape

SHAPES = {
    "dev": Shape(),
    "schnell": Shape(guidance=False, clip_layers=3, t5_width=48, t5_heads=3, t5_head_width=16, single=2),
    "two heads, Long-CLIP": Shape(hidden=256, double=1, single=1, clip_width=128, clip_positions=248, t5_layers=3),
}

START, END = 49406, 49407  # CLIP's tokens around a text
OFFICIAL_WIDTH = 3072  # FLUX.1's hidden size


def distance(ours: Tensor, theirs: Tensor) -> float:
    """|ours - theirs| / |theirs|."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return float((ours - theirs).norm() / theirs.norm())


def clip_l(shape: Shape, weights: dict[str, Tensor]) -> CLIPTextModel:
    config = CLIPTextConfig(
        hidden_size=shape.clip_width,
        intermediate_size=4 * shape.clip_width,
        num_hidden_layers=shape.clip_layers,
        num_attention_heads=shape.clip_width // 64,
        max_position_embeddings=shape.clip_positions,
        hidden_act="quick_gelu",
        bos_token_id=START,
        eos_token_id=END,
    )
    return _pretrained(CLIPTextModel, config, weights)


def t5xxl(shape: Shape, weights: dict[str, Tensor]) -> T5EncoderModel:
    config = T5Config(
        d_model=shape.t5_width,
        d_kv=shape.t5_head_width,
        d_ff=shape.t5_ff,
        num_layers=shape.t5_layers,
        num_heads=shape.t5_heads,
        vocab_size=32128,
        feed_forward_proj="gated-gelu",
    )
    return _pretrained(T5EncoderModel, config, weights)


def _pretrained(kind: type, config, weights: dict[str, Tensor]):
    model, info = kind.from_pretrained(None, config=config, state_dict=dict(weights), output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def transformer(shape: Shape, weights: dict[str, Tensor]) -> FluxTransformer2DModel:
    model = FluxTransformer2DModel(
        num_layers=shape.double,
        num_single_layers=shape.single,
        num_attention_heads=shape.hidden // 128,
        joint_attention_dim=shape.t5_width,
        pooled_projection_dim=shape.clip_width,
        guidance_embeds=shape.guidance,
    )
    model.load_state_dict(_converter(shape.hidden)(dict(weights)))
    return model.eval()


def _converter(hidden: int) -> FunctionType:
    """diffusers' own converter from BFL's names, with its constant for FLUX.1's hidden size replaced by ours."""
    official = convert_flux_transformer_checkpoint_to_diffusers
    constants = official.__code__.co_consts
    assert OFFICIAL_WIDTH in constants
    code = official.__code__.replace(co_consts=tuple(hidden if c == OFFICIAL_WIDTH else c for c in constants))
    return FunctionType(code, official.__globals__)


def autoencoder(weights: dict[str, Tensor]) -> AutoencoderTiny:
    """With the settings of madebyollin/taef1: it takes the pipeline's latents unchanged."""
    model = AutoencoderTiny(latent_channels=16, scaling_factor=1.0, shift_factor=0.0)
    # The decoder's layer 0 is a clamp without weights, which diffusers does not count.
    for part, name, offset in ((model.encoder, "taesd_encoder.", 0), (model.decoder, "taesd_decoder.", -1)):
        layers = (key.removeprefix(name).split(".", 1) + [value] for key, value in weights.items() if name in key)
        part.load_state_dict({f"layers.{int(layer) + offset}.{rest}": value for layer, rest, value in layers})
    return model.eval()


def scheduler(shape: Shape) -> FlowMatchEulerDiscreteScheduler:
    """By the scheduler_config.json of FLUX.1-dev, whose shift grows with the picture, or of schnell, which has none."""
    return FlowMatchEulerDiscreteScheduler(
        shift=3.0 if shape.guidance else 1.0,
        use_dynamic_shifting=shape.guidance,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )


@functools.cache
def clip_tokenizer(length: int) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(_shipped("sd1_tokenizer"), model_max_length=length)


@functools.cache
def t5_tokenizer() -> T5TokenizerFast:
    return T5TokenizerFast.from_pretrained(_shipped("text_encoders/t5_tokenizer"))


def _shipped(folder: str) -> Path:
    return Path(comfy.__path__[0]) / folder


def pipeline(shape: Shape, weights: dict[str, dict[str, Tensor]]) -> FluxPipeline:
    pipe = FluxPipeline(
        scheduler=scheduler(shape),
        vae=autoencoder(weights["ae"]),
        text_encoder=clip_l(shape, weights["clip_l"]),
        tokenizer=clip_tokenizer(shape.clip_positions),
        text_encoder_2=t5xxl(shape, weights["t5xxl"]),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer(shape, weights["flux"]),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
