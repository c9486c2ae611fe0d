import json

import torch
from safetensors.torch import save_file

from flux_duet.nodes.compat import weights


def test_files(tmp_path):
    """(tensors, metadata) of a safetensors file, and the tensors of a pickle with tensors only."""
    tensors, metadata = {"a": torch.arange(3.0)}, {"made": "here"}
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    found, metadata = weights.load_file(str(tmp_path / "x.safetensors"))
    assert torch.equal(found["a"], tensors["a"])
    assert metadata["made"] == "here"
    torch.save(tensors, tmp_path / "x.pt")
    assert torch.equal(weights.load_file(str(tmp_path / "x.pt"))[0]["a"], tensors["a"])


def test_old_quantisation():
    """`scaled_fp8` is removed, a layer's `scale_weight` becomes `weight_scale`, and its format is added as JSON."""
    given = {
        "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn),
        "layer.weight": torch.ones(2, 2).to(torch.float8_e4m3fn),
        "layer.scale_weight": torch.tensor(0.5),
        "bias": torch.ones(2),
    }
    found = weights.with_current_quantisation(dict(given), None)
    assert found.keys() == {"layer.weight", "layer.weight_scale", "layer.comfy_quant", "bias"}
    assert found["layer.weight_scale"] == 0.5
    assert json.loads(bytes(found["layer.comfy_quant"].tolist()))["format"] == "float8_e4m3fn"
    plain = {"bias": given["bias"]}
    assert weights.with_current_quantisation(plain, None) == plain


def test_names_of_transformers():
    """OpenAI's key names of a CLIP become those of transformers, with q, k and v split."""
    joined = torch.arange(12.0).view(6, 2)
    found = weights.with_transformers_names({
        "transformer.resblocks.0.ln_1.weight": torch.ones(2),
        "transformer.resblocks.0.attn.in_proj_weight": joined,
    })  # fmt: skip
    layer = "text_model.encoder.layers.0."
    assert torch.equal(found[f"{layer}layer_norm1.weight"], torch.ones(2))
    for name, part in zip("qkv", joined.split(2), strict=True):
        assert torch.equal(found[f"{layer}self_attn.{name}_proj.weight"], part)


def test_formats():
    """A table of formats; `parameters` names the tensors besides the weight."""
    formats = weights.quantised_formats()
    assert "weight_scale" in formats["float8_e4m3fn"]["parameters"]
    assert "weight_scale_2" not in formats["float8_e4m3fn"]["parameters"]
    assert "weight_scale_2" in formats["nvfp4"]["parameters"]
