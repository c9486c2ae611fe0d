"""LoRA Anatomy against the dense change that ComfyUI computes, for every layout of a LoRA."""

import json

import comfy.lora
import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

from flux_duet.nodes.lora.load import as_file
from flux_duet.nodes.lora.parts import IMAGE, PARTS, T5_ENCODER, place_of
from flux_duet.nodes.probe.lora import measure as measuring
from flux_duet.nodes.probe.lora.measure import measure, own_norm
from flux_duet.nodes.probe.lora.nodes import Anatomy
from flux_duet.tests.comfy.lora.files import LAYOUTS, Maker

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]
LOW_RANK = set(LAYOUTS) - {"DoRA", "GLoRA", "OFT", "BOFT", "whole changes"}


@pytest.fixture(scope="module")
def maker(model):
    return Maker(model)


def dense_changes(weights, model) -> dict[str, torch.Tensor]:
    """Every weight as ComfyUI patches it, in float32, minus the weight; a widened one against zeros."""
    patched = comfy.sd.load_lora_for_models(model, None, weights, 1.0, 1.0)[0]
    state, found = model.model.state_dict(), {}
    for key, patches in patched.patches.items():
        result = comfy.lora.calculate_weight(patches, state[key].float().clone(), key)
        before = torch.zeros_like(result)
        before[tuple(map(slice, state[key].shape))] = state[key]
        found[key] = (result - before).double()
    return found


def anatomy(model, *weights, clips=()):
    return measure([as_file(f"{number}.safetensors", each) for number, each in enumerate(weights)], model, clips)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_is_measured_as_it_is_applied(layout, maker, model):
    weights = LAYOUTS[layout](maker)
    ((reading,), _), expected = anatomy(model, weights), dense_changes(weights, model)
    assert {each.name for each in reading.changes} == expected.keys()
    for each in reading.changes:
        assert each.change == pytest.approx(expected[each.name].norm().item(), rel=1e-4), each.name
        own = model.model.state_dict()[each.name].double().norm().item()
        assert each.own == pytest.approx(own, rel=0.05), each.name
    squares = sum(float(each.square().sum()) for each in expected.values())
    assert reading.whole.change == pytest.approx(squares**0.5, rel=1e-4)
    for part in PARTS:
        inside = [each for name, each in expected.items() if place_of(name, reading.depth).part == part]
        share = sum(float(each.square().sum()) for each in inside) / squares
        assert reading.share(reading.total(part)) == pytest.approx(share, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_effective_rank_is_of_the_singular_values(layout, maker, model):
    weights = LAYOUTS[layout](maker)
    ((reading,), _), expected = anatomy(model, weights), dense_changes(weights, model)
    ranked = [each for each in reading.changes if each.rank]
    assert bool(ranked) == (layout in LOW_RANK)
    for each in ranked:
        squares = torch.linalg.svdvals(expected[each.name]).square()
        assert each.rank[0] == pytest.approx(float(squares.sum() ** 2 / squares.square().sum()), rel=1e-3)
        found = int((squares > squares[0] * 1e-10).sum())
        assert found <= each.rank[1], (each.name, found, each.rank)


@pytest.mark.parametrize("other", ["kohya", "diffusers", "LoKr", "LoHa", "DoRA", "whole changes", "BFL control"])
@pytest.mark.parametrize("layout", ["kohya", "LoKr", "DoRA", "diffusers"])
def test_cosine_of_two_files(layout, other, model):
    pair = LAYOUTS[layout](Maker(model, 1)), LAYOUTS[other](Maker(model, 1 if layout == other else 2))
    readings, compared = anatomy(model, *pair)
    one, two = (dense_changes(weights, model) for weights in pair)

    def inner(a, b) -> float:
        common = tuple(slice(0, min(sides)) for sides in zip(a.shape, b.shape, strict=True))
        return float((a[common] * b[common]).sum())

    inners = {name: inner(one[name], two[name]) for name in one.keys() & two.keys()}
    norms = readings[0].whole.change * readings[1].whole.change
    assert compared.whole == pytest.approx(sum(inners.values()) / norms, rel=1e-3, abs=1e-5)
    assert (compared.whole > 0.99) == (layout == other)
    part = sum(value for name, value in inners.items() if place_of(name, readings[0].depth).part == IMAGE)
    norms = readings[0].total(IMAGE).change * readings[1].total(IMAGE).change
    assert compared.cosines[IMAGE] == pytest.approx(part / norms, rel=1e-3, abs=1e-5)


def test_patches_on_the_model_do_not_count(maker, model):
    """Neither those of other LoRAs nor, for DoRA, a patched weight that is in place."""
    other = comfy.sd.load_lora_for_models(model, None, Maker(model, 5).kohya(), 1.0, 0.0)[0]
    weights = maker.dora()
    ((plain,), _) = anatomy(model, weights)
    other.patch_model()
    try:
        ((beside,), _) = anatomy(other, weights)
    finally:
        other.unpatch_model()
    assert beside.changes == plain.changes


def test_the_weights_are_not_changed(maker, model):
    before = {name: each.clone() for name, each in model.model.state_dict().items()}
    anatomy(model, maker.dora(), maker.glora())
    assert all(torch.equal(each, before[name]) for name, each in model.model.state_dict().items())
    assert not model.patches


def test_encoders(maker, model, dual, singles):
    """T5 alone is counted as one, and is read only if the LoRA changes it."""
    weights = maker.encoders()
    ((both,), _), ((apart,), _) = anatomy(model, weights, clips=[dual]), anatomy(model, weights, clips=singles)
    assert [(each.name, each.change, each.own) for each in both.changes] == [
        (each.name, each.change, each.own) for each in apart.changes]  # fmt: skip
    assert both.held == apart.held and both.total(T5_ENCODER).weights == 1
    ((alone,), _) = anatomy(model, weights)
    assert not alone.changes and len(alone.unused) == len(weights)


def test_own_norms():
    """Exact up to 256 rows, estimated with its error for more; bytes of a packed format have none."""
    random = torch.Generator().manual_seed(0)
    small, large = (torch.randn(rows, 96, generator=random) for rows in (256, 5000))
    large *= torch.rand(5000, 1, generator=random)
    assert own_norm(small) == (pytest.approx(small.norm().item()), 0.0)
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn):
        norm, error = own_norm(large.to(dtype))
        assert abs(norm - large.to(dtype).float().norm().item()) < 3 * error
        assert 0.01 < error / norm < 0.06
    assert own_norm(torch.zeros(4, 4, dtype=torch.uint8)) == (None, 0.0)


@pytest.fixture
def show(tmp_path, monkeypatch):
    """`show(model, first, second or None, **options)` -> the node's results, from files among ComfyUI's LoRAs."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))

    def run(model, *files, **options):
        for name, weights in zip(("style", "other"), files, strict=False):
            save_file(weights, tmp_path / f"{name}.safetensors")
        names = {"compare_with": "other.safetensors"} if len(files) == 2 else {}
        return Anatomy.execute(model, "style.safetensors", **names, **options).result

    return run


def test_what_the_node_says(maker, model, show):
    layers = [layer for layer in maker.layers if "img_attn" in layer or "linear1" in layer]
    weights = {**maker.kohya(layers), **maker.encoders()}
    plot, sentence, data, table = show(model, weights)
    data = json.loads(data)
    total = len(maker.layers)
    assert sentence.startswith(f"style.safetensors changes {len(layers)} of {total} weights, by ")
    assert "in the attention and MLP of the single blocks" in sentence and "in the image layers" in sentence
    assert "It does not change the CLIP stream or the T5 stream." in sentence
    assert "Not connected: CLIP-L encoder and T5 encoder. 6 of its" in sentence
    assert data["sentence"] == sentence and data["cosine"] is None
    (file,) = data["files"]
    assert file["parts"]["joint"]["changed"] == 3 and file["parts"]["t5_stream"]["change"] == 0
    assert sum(part["share"] for part in file["parts"].values()) == pytest.approx(1)
    assert [(each["part"], each["block"]) for each in file["blocks"]] == [
        ("image", 0), ("image", 1), ("joint", 2), ("joint", 3), ("joint", 4)]  # fmt: skip
    assert len(file["weights"]) == len(layers) and file["weights"][0]["rank"] == 4
    assert f"| joint | 3 of {2 * 3} |" in table and plot.shape[-1] == 3


def test_two_files(maker, model, show):
    one, two = maker.kohya(), Maker(model, 7).lokr()
    plot, sentence, data, table = show(model, one, two)
    assert "The cosine similarity of the two changes is" in sentence and "other.safetensors changes" in sentence
    assert len(json.loads(data)["files"]) == 2 and "cosine of the two changes" in table
    assert plot.shape[1] > show(model, one)[0].shape[1]
    apart = show(model, maker.kohya(["img_in"]), maker.kohya(["txt_in"]))
    assert apart[1].endswith("The two LoRAs have no changed weight in common.")


def test_a_file_for_another_model(model, show):
    _, sentence, data, _ = show(model, {"blocks.0.lora_up.weight": torch.ones(2, 2)})
    assert sentence == (
        "style.safetensors changes none of the connected models. 1 of its 1 tensors have no effect here."
    )
    assert json.loads(data)["files"][0]["unused"] == ["blocks.0.lora_up.weight"]


def test_packed_weights(maker, model, show, monkeypatch):
    """Without the weights' values a low-rank change has a norm, and DoRA's has none."""
    plain = measuring.plain_weight
    packed = lambda patcher, name: plain(patcher, name).to(torch.uint8)  # noqa: E731
    monkeypatch.setattr(measuring, "plain_weight", packed)
    ((reading,), _) = anatomy(model, maker.kohya())
    assert reading.whole.change > 0 and reading.whole.relative is None
    assert "of their norm" not in show(model, maker.kohya())[1]
    with pytest.raises(ValueError, match="this LoRA's format cannot be measured on a weight stored as torch.uint8"):
        anatomy(model, maker.dora())


def test_numbers_that_are_not_finite(maker, model):
    weights = maker.kohya(["img_in"])
    weights["lora_unet_img_in.lora_up.weight"][0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"0.safetensors contains infinite or invalid numbers.*img_in"):
        anatomy(model, weights)


@pytest.mark.parametrize("side", ["lora_up", "lora_down"])
def test_factors_that_do_not_fit_change_nothing(side, maker, model):
    """ComfyUI leaves such a layer out, and says so in its log."""
    weights = maker.kohya(["img_in", "txt_in"])
    weights[f"lora_unet_img_in.{side}.weight"] = torch.ones(3, 5)
    ((reading,), _) = anatomy(model, weights)
    assert {each.name: each.change > 0 for each in reading.changes} == {
        "diffusion_model.img_in.weight": False, "diffusion_model.txt_in.weight": True}  # fmt: skip
