"""Which models are FLUX.1, on small models of each family, made by ComfyUI's own detection and classes."""

import comfy.ldm.chroma.model
import comfy.ldm.hunyuan_video.model
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import pytest
import torch
from comfy.ldm.flux.model import Flux

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.family import family, flux1, is_wrapped, needs_picture
from flux_duet.nodes.lora.nodes import LoadLora
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.nodes.probe.influence.nodes import ZEROS, Influence
from flux_duet.nodes.probe.lora.nodes import Anatomy
from flux_duet.nodes.probe.shape.describing import described
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
BLOCKS = {"depth": 1, "depth_single_blocks": 1, "guidance_embed": True, "qkv_bias": True, "theta": 10000}
FLUX = {
    **BLOCKS,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "hidden_size": 128,
    "num_heads": 1,
    "mlp_ratio": 4.0,
    "axes_dim": [16, 56, 56],
    "vec_in_dim": 64,
    "context_in_dim": 64,
    "txt_ids_dims": [],
}
CONFIGS = {
    "Flux.2": (comfy.supported_models.Flux2, {
        **FLUX, "image_model": "flux2", "in_channels": 128, "out_channels": 128, "patch_size": 1, "vec_in_dim": None,
        "axes_dim": [32, 32, 32, 32], "global_modulation": True, "mlp_silu_act": True, "qkv_bias": False,
        "ops_bias": False, "txt_ids_dims": [3], "mlp_ratio": 3.0}),
    "LongCat-Image": (comfy.supported_models.LongCatImage, {
        **FLUX, "image_model": "flux", "vec_in_dim": None, "guidance_embed": False, "txt_ids_dims": [1, 2]}),
    "Chroma": (comfy.supported_models.Chroma, {
        **{key: value for key, value in FLUX.items() if key != "guidance_embed"}, "vec_in_dim": None,
        "image_model": "chroma", "in_channels": 64, "out_channels": 64, "in_dim": 64, "out_dim": 128, "hidden_dim": 64,
        "n_layers": 1}),
    "HunyuanVideo": (comfy.supported_models.HunyuanVideo, {
        **BLOCKS, "image_model": "hunyuan_video", "in_channels": 16, "out_channels": 16, "patch_size": [1, 2, 2],
        "hidden_size": 128, "num_heads": 1, "mlp_ratio": 4.0, "axes_dim": [16, 56, 56], "vec_in_dim": 64, "theta": 256,
        "context_in_dim": 64, "byt5": False, "meanflow": False, "use_cond_type_embedding": False,
        "vision_in_dim": None, "meanflow_sum": False}),
    "Ovis-Image": (comfy.supported_models.Flux, {
        **FLUX, "image_model": "flux", "vec_in_dim": None, "yak_mlp": True, "txt_norm": True, "txt_ids_dims": [1, 2]}),
}  # fmt: skip


def made(kind: type, config: dict):
    """A MODEL with random weights, built as ComfyUI's loaders do after detecting family and sizes."""
    settings = kind(dict(config))
    settings.set_inference_dtype(torch.float32, None)
    with torch.inference_mode():
        base = settings.get_model({})
        generator = torch.Generator().manual_seed(0)
        for value in base.diffusion_model.parameters():
            value.normal_(0, 0.05, generator=generator)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(base, device, comfy.model_management.unet_offload_device())


@pytest.fixture(scope="module", params=CONFIGS)
def other(request):
    return request.param, made(*CONFIGS[request.param])


def streams() -> tuple[ClipVec, T5Text]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        kind((Span(torch.randn(shape, generator=generator)),))
        for kind, shape in ((ClipVec, (1, 64)), (T5Text, (1, 9, 64)))
    )


def prompt(region: bool = False) -> list:
    vec, txt = streams()
    mask = torch.zeros(1, 8, 8)
    mask[..., 4:] = 1
    return DualPrompt.execute(vec, Region.execute(txt, txt, mask)[0] if region else txt, 3.5)[0]


def calls(dual) -> dict:
    """Every node that is for FLUX.1 alone, with valid inputs."""
    plan = 0, 2, "euler", "simple"
    return {
        "Apply Duet": lambda model: ApplyDuet.execute(model),
        "Load LoRA by Stream": lambda model: LoadLora.execute(model, "any.safetensors"),
        "LoRA Anatomy": lambda model: Anatomy.execute(model, "any.safetensors"),
        "Token Heatmap": lambda model: Heatmap.execute(model, streams()[1]),
        "Encoder Influence": lambda model: Influence.execute(model, ZEROS),
        "Word Ablation": lambda model: WordAblation.execute(model, dual, dual, "a", "b", LATENT, 3.5, *plan),
        "Switch Sweep": lambda model: SwitchSweep.execute(model, prompt(), prompt(), "T5", LATENT, *plan),
        "Prompt Grid": lambda model: PromptGrid.execute(
            model, dual, dual, None, "a", "b", LATENT, 0, 1, *plan[1:], 3.5),
        "MMDiT Sampler": lambda model: MMDiTSampler.execute(
            model, prompt(region=True), LATENT, None, seed=0, steps=2, sampler="euler", scheduler="simple"),
    }  # fmt: skip


NAMES = ("Apply Duet", "Token Heatmap", "Encoder Influence", "Word Ablation", "Switch Sweep", "Prompt Grid",
         "MMDiT Sampler", "Load LoRA by Stream", "LoRA Anatomy")  # fmt: skip


@pytest.mark.parametrize("node", NAMES)
def test_another_family_is_told_before_anything_is_done(other, node, dual):
    """With the node's name, what it got and what is expected; and not only at run time."""
    name, model = other
    with pytest.raises(ValueError, match=f"{node}: got .*{name}.*expected FLUX.1 ") as error:
        calls(dual)[node](model)
    assert error.value.__context__ is None, "not after something else broke"


def test_another_family_has_its_name_on_the_wire(other):
    name, model = other
    assert name in described(model) and "not FLUX.1" in described(model)
    assert flux1(model) is None and not is_wrapped(model)


LAYOUTS = {"dev": {}, "schnell": {"guidance_embed": False}, "Fill": {"in_channels": 96}, "Canny": {"in_channels": 32}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_flux1_is_one(layout, singles):
    kind = comfy.supported_models.FluxSchnell if layout == "schnell" else comfy.supported_models.Flux
    model = made(kind, {**FLUX, "image_model": "flux", **LAYOUTS[layout]})
    assert family(model) == "FLUX.1" and flux1(model).vec_in_dim == 64
    assert needs_picture(model) is (layout in ("Fill", "Canny"))
    ApplyDuet.execute(model)
    Heatmap.execute(model, T5Encode.execute(singles[1], "a ring")[0])
    Influence.execute(model, ZEROS)


def test_what_other_packs_make_of_flux1_is_judged_by_its_blocks(model):
    """A subclass of ComfyUI's model, a transformer of a class derived from Flux, and one that torch.compile has."""
    for change in ("model", "transformer", "compiled"):
        each = comfy.model_patcher.ModelPatcher(model.model, model.load_device, model.offload_device)
        flux = model.model.diffusion_model
        if change == "model":
            each = made(comfy.supported_models.Flux, {**FLUX, "image_model": "flux"})
            each.model.__class__ = type("ExtendedFlux", (comfy.model_base.Flux,), {})
        elif change == "transformer":
            derived = Flux.__new__(type("Derived", (Flux,), {}))
            derived.__dict__.update(flux.__dict__)
            each.add_object_patch("diffusion_model", derived)
        else:
            each.add_object_patch("diffusion_model", torch.compile(flux))
        assert flux1(each) is not None, change
    relative = made(*CONFIGS["Flux.2"])
    relative.model.__class__ = type("ExtendedFlux2", (comfy.model_base.Flux2,), {})
    assert family(relative) == "Flux.2"


def wrapped(tiny):
    """As in nunchaku: ComfyUI's FLUX.1 around an opaque transformer."""
    model = comfy.sd.load_diffusion_model(str(tiny["flux"]))

    class ComfyFluxWrapper(torch.nn.Module):
        dtype = torch.float32

        def forward(self, x, timestep, context, y=None, guidance=None, **kwargs):
            return x + 0.1 * context.mean((1, 2))[:, None, None, None] + 0.2 * y.mean(1)[:, None, None, None]

    model.model.diffusion_model = ComfyFluxWrapper()
    return model


@pytest.mark.parametrize("node", NAMES)
def test_a_wrapped_model_serves_where_no_block_is_looked_at(tiny, node, dual):
    model = wrapped(tiny)
    assert is_wrapped(model) and flux1(model) is None and not needs_picture(model)
    if node in ("Apply Duet", "Token Heatmap", "MMDiT Sampler", "Load LoRA by Stream", "LoRA Anatomy"):
        with pytest.raises(ValueError, match=f"{node}: got a wrapped model .ComfyFluxWrapper.*expected FLUX.1"):
            calls(dual)[node](model)
    elif node != "Prompt Grid":  # which decodes what it draws
        calls(dual)[node](model)


def test_without_controls_the_sampler_samples_anything_as_ksampler_does(other):
    """This family treats the prompt the same in both."""
    import nodes

    _, model = other
    channels = model.get_model_object("latent_format").latent_channels
    shape = (
        (1, channels, 1, 8, 8)
        if model.get_model_object("latent_format").latent_dimensions == 3
        else (1, channels, 8, 8)
    )
    latent = {"samples": torch.zeros(shape)}
    positive = prompt()
    ours = MMDiTSampler.execute(model, positive, latent, None, seed=5, steps=2, sampler="euler", scheduler="simple")
    theirs = nodes.KSampler().sample(model, 5, 2, 1.0, "euler", "simple", positive, positive, latent, 1.0)[0]
    assert torch.equal(ours[0]["samples"], theirs["samples"])
