"""LoRAs on float8 models: cast as they are, and quantised with a scale for each layer."""

import json

import comfy.sd
import pytest
import torch
from safetensors.torch import load_file, save_file

from flux_duet.nodes.compat import loras
from flux_duet.nodes.lora.load import as_file, patches_of
from flux_duet.nodes.lora.strengths import Strengths
from flux_duet.nodes.probe.lora.measure import measure
from flux_duet.tests.comfy.lora.files import LAYOUTS, Maker
from flux_duet.tests.comfy.lora.test_by_stream import same_patches
from flux_duet.tests.comfy.lora.test_save import patched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]
FLOAT8 = torch.float8_e4m3fn


@pytest.fixture(scope="module", params=["cast", "scaled"])
def model(request, tiny, tmp_path_factory):
    """FLUX.1 in float8; `expected` are its weights as numbers."""
    if request.param == "cast":
        loaded = comfy.sd.load_diffusion_model(str(tiny["flux"]), model_options={"dtype": FLOAT8})
        loaded.expected = {}
        return loaded
    weights, expected = load_file(tiny["flux"]), {}
    linears = [name for name, each in weights.items() if name.endswith(".weight") and "_blocks." in name
               and each.ndim == 2]  # fmt: skip
    for name in linears:
        scale = weights[name].abs().max() / torch.finfo(FLOAT8).max
        weights[name] = (weights[name] / scale).to(FLOAT8)
        weights[f"{name.removesuffix('.weight')}.weight_scale"] = scale.float()
        expected[f"diffusion_model.{name}"] = weights[name].float() * scale
    form = {name.removesuffix(".weight"): {"format": "float8_e4m3fn"} for name in linears}
    path = tmp_path_factory.mktemp("scaled") / "flux.safetensors"
    save_file(weights, path, {"_quantization_metadata": json.dumps({"layers": form})})
    loaded = comfy.sd.load_diffusion_model(str(path))
    loaded.expected = expected
    return loaded


@pytest.mark.parametrize("layout", ["kohya", "diffusers", "DoRA"])
def test_neutral_is_lora_loader(layout, model):
    weights = LAYOUTS[layout](Maker(model))
    expected = comfy.sd.load_lora_for_models(model, None, weights, 0.7, 0.7)[0]
    got, _ = patches_of(as_file("x", weights), model).put(Strengths(overall=0.7))
    assert expected.patches and same_patches(got, expected)
    ours, theirs = patched(model, got), patched(model, expected)
    assert all(torch.equal(ours[key].float(), theirs[key].float()) for key in theirs)


@pytest.mark.parametrize("layout", ["kohya", "DoRA"])
def test_anatomy_reads_the_weights_as_numbers(layout, model):
    weights = LAYOUTS[layout](Maker(model))
    ((reading,), _) = measure([as_file("x", weights)], model, [])
    for each in reading.changes:
        plain = loras.plain_weight(model, each.name).float()
        assert torch.equal(plain, model.expected.get(each.name, plain))
        assert each.own == pytest.approx(plain.norm().item(), rel=0.05)
    if layout == "DoRA":
        ((again,), _) = measure([as_file("x", LAYOUTS["kohya"](Maker(model)))], model, [])
        assert reading.whole.change != pytest.approx(again.whole.change, rel=0.01)
    assert reading.whole.relative > 0
