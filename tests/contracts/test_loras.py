import comfy.lora
import comfy.sd
import torch
from comfy.weight_adapter.lora import LoRAAdapter

from flux_duet.nodes.compat import loras
from flux_duet.tests.comfy import native

IMG_IN = "diffusion_model.img_in.weight"


def kohya(model) -> dict[str, torch.Tensor]:
    rows, columns = model.model.diffusion_model.img_in.weight.shape
    return {
        "lora_unet_img_in.lora_up.weight": torch.ones(rows, 2),
        "lora_unet_img_in.lora_down.weight": torch.ones(2, columns),
        "lora_unet_img_in.alpha": torch.tensor(4.0),
        "lora_unet_img_in.diff_b": torch.ones(rows),
        "other": torch.ones(1),
    }


def test_conversion():
    """Formats of other names are renamed, their tensors kept; a control LoRA gets the shape of img_in."""
    up, down, norm = torch.ones(4, 2), torch.ones(2, 6), torch.ones(8)
    given = {"img_in.lora_B.weight": up, "img_in.lora_A.weight": down, "single_blocks.0.norm.key_norm.scale": norm}
    found = loras.converted(given)
    assert found["diffusion_model.img_in.lora_B.weight"] is up
    assert found["diffusion_model.single_blocks.0.norm.key_norm.set_weight"] is norm
    assert found["diffusion_model.img_in.reshape_weight"].tolist() == [4, 6]
    plain = {"lora_unet_img_in.lora_up.weight": up}
    assert loras.converted(plain) is plain


def test_names(model, tiny):
    """The keys are the weights' names in the model's state dict, or (name, rows) for a part of a fused weight."""
    names = loras.model_names(model)
    assert names["lora_unet_img_in"] == names["diffusion_model.img_in"] == IMG_IN
    hidden = model.model.diffusion_model.hidden_size
    qkv = names["transformer.transformer_blocks.0.attn.to_k"]
    assert qkv == ("diffusion_model.double_blocks.0.img_attn.qkv.weight", (0, hidden, hidden))
    assert loras.weight_key(qkv) in model.model.state_dict() and loras.weight_key(IMG_IN) == IMG_IN
    clip = loras.clip_names(native.dual(tiny))
    assert clip["lora_te1_text_model_encoder_layers_0_mlp_fc1"].startswith("clip_l.transformer.text_model.")


def test_patches(model):
    """They are those of `load_lora`, name by name, with the names of all tensors in them."""
    weights = kohya(model)
    names = loras.model_names(model)
    ((name, patches, tensors),) = loras.patches_by_name(weights, names)
    expected = comfy.lora.load_lora(dict(weights), names, log_missing=False)
    assert name == "lora_unet_img_in" and list(patches) == list(expected) == [IMG_IN, "diffusion_model.img_in.bias"]
    assert tensors == weights.keys() - {"other"}
    adapter, (kind, (bias,)) = patches.values()
    assert isinstance(adapter, LoRAAdapter) and adapter.weights[2] == 4.0
    assert kind == "diff" and bias is weights["lora_unet_img_in.diff_b"]


def test_adapters_hold_what_saving_reads():
    """Where alpha, DoRA's scale and the factors stand in `weights` of each adapter."""
    one, two, three, four = (torch.ones(2, 2) * number for number in range(4))
    scale = torch.ones(1)

    def weights(adapter, **tensors) -> tuple:
        return adapter.load("x", {f"x.{name}": each for name, each in tensors.items()}, 3.0, scale, set()).weights

    lora = weights(loras.LoRAAdapter, **{"lora_up.weight": one, "lora_down.weight": two})
    assert (lora[0] is one, lora[1] is two, lora[2], lora[3], lora[4] is scale) == (True, True, 3.0, None, True)
    loha = weights(loras.LoHaAdapter, hada_w1_a=one, hada_w1_b=two, hada_w2_a=three, hada_w2_b=four)
    assert [loha[at] is each for at, each in zip((0, 1, 3, 4, 7), (one, two, three, four, scale), strict=True)] == (
        [True] * 5) and loha[2] == 3.0 and loha[5] is loha[6] is None  # fmt: skip
    lokr = weights(loras.LoKrAdapter, lokr_w1=one, lokr_w2=two)
    assert lokr[0] is one and lokr[1] is two and lokr[2] == 3.0 and lokr[8] is scale
    lokr = weights(loras.LoKrAdapter, lokr_w1_a=one, lokr_w1_b=two, lokr_w2_a=three, lokr_w2_b=four)
    assert [lokr[at] is each for at, each in zip((3, 4, 5, 6), (one, two, three, four), strict=True)] == [True] * 4
    glora = weights(loras.GLoRAAdapter, **{f"{side}.weight": one for side in ("a1", "a2", "b1", "b2")})
    assert glora[4] == 3.0 and glora[5] is scale
    assert weights(loras.OFTAdapter, oft_blocks=torch.ones(1, 2, 2))[3] is scale
    assert weights(loras.BOFTAdapter, oft_blocks=torch.ones(1, 1, 2, 2))[3] is scale


def test_putting(model):
    """Patches of the patcher's own weights act, with their strength, on the clone alone; others are left out."""
    bias = model.model.diffusion_model.img_in.bias
    patches = {"diffusion_model.img_in.bias": ("diff", (torch.ones_like(bias),)), "no.weight": ("diff", (bias,))}
    clone = model.clone()
    assert loras.put_patches(clone, patches, 0.5) == {"diffusion_model.img_in.bias"}
    assert clone.patches["diffusion_model.img_in.bias"][0][0] == 0.5 and not model.patches


def test_plain_weight(model):
    """The weight itself, and the one in the backup while a patched one is in place."""
    weight = model.model.diffusion_model.img_in.weight
    assert loras.plain_weight(model, IMG_IN) is weight
    clone, before = model.clone(), weight.detach().clone()
    loras.put_patches(clone, {IMG_IN: ("diff", (torch.ones_like(weight),))}, 1.0)
    clone.patch_model()
    assert not torch.equal(model.model.diffusion_model.img_in.weight, before)
    assert torch.equal(loras.plain_weight(clone, IMG_IN), before)
    clone.unpatch_model()


def test_patching_a_weight(model):
    """A new tensor in float32: all of the weight, its rows of a fused weight, or a wider one for a control LoRA."""
    weight = torch.zeros(4, 3, dtype=torch.bfloat16)
    assert torch.equal(loras.patch_weight(weight, "x", ("diff", (torch.ones(4, 3),))), torch.ones(4, 3))
    rows = loras.patch_weight(weight, ("x", (0, 2, 2)), ("diff", (torch.ones(2, 3),)))
    assert rows[:, 0].tolist() == [0, 0, 1, 1] and rows.dtype == torch.float32
    wide = loras.LoRAAdapter(set(), (torch.ones(4, 1), torch.ones(1, 6), None, None, None, [4, 6]))
    assert torch.equal(loras.patch_weight(weight, "x", wide), torch.ones(4, 6))
    assert not weight.any()
