"""A saved LoRA, loaded by LoraLoader at strength 1, acts as what was saved."""

import comfy.sd
import comfy.utils
import pytest
import torch
from safetensors import safe_open

from flux_duet.nodes.lora.load import as_file, patches_of
from flux_duet.nodes.lora.parts import CLIP_STREAM, IMAGE, JOINT, T5_ENCODER
from flux_duet.nodes.lora.save import remaining
from flux_duet.nodes.lora.strengths import Strengths
from flux_duet.tests.comfy.lora.files import LAYOUTS, Maker
from flux_duet.tests.comfy.lora.test_by_stream import ZERO, load, same_patches  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]
UNSCALED = ("DoRA", "OFT", "BOFT")  # the change is not proportional to the strength


@pytest.fixture(scope="module")
def maker(model):
    return Maker(model)


def reload(result, tmp_path, model, clip=None):
    """(what LoraLoader makes of the file that a run saved, its tensors)."""
    (line,) = [line for line in result.ui["text"][0].splitlines() if line.startswith("Saved ")]
    path = tmp_path / "output" / line.split(" to ")[1]
    weights = comfy.utils.load_torch_file(str(path), safe_load=True)
    assert line == f"Saved {len(weights)} tensors to {path.relative_to(tmp_path / 'output').as_posix()}"
    return comfy.sd.load_lora_for_models(model, clip, weights, 1.0, 1.0), weights


def patched(model, patcher) -> dict[str, torch.Tensor]:
    """Every weight that a patcher changes, as ComfyUI computes it."""
    return {key: patcher.patch_weight_to_device(key, return_weight=True) for key in patcher.patches}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_at_1_are_the_same_bit_for_bit(layout, maker, model, load, tmp_path):  # noqa: F811
    weights = LAYOUTS[layout](maker)
    result = load(weights, model, **{JOINT: 0.0, T5_ENCODER: 0.0}, blocks="0, single", save_as="mine/kept")
    (again, _), kept = reload(result, tmp_path, model)
    assert again.patches and same_patches(again, result.result[0])
    if layout not in ("BFL control", "XLabs and USO"):  # of which ComfyUI knows the names by blocks that are left out
        assert kept.keys() < weights.keys() and all(torch.equal(each, weights[name]) for name, each in kept.items())


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout not in UNSCALED])
def test_strengths_are_in_the_file(layout, maker, model, load, tmp_path):  # noqa: F811
    weights = LAYOUTS[layout](maker)
    given = {"strength": 0.8, CLIP_STREAM: 0.5, IMAGE: -1.3, JOINT: 0.0}
    result = load(weights, model, **given, save_as="kept")
    (again, _), kept = reload(result, tmp_path, model)
    expected, got = patched(model, result.result[0]), patched(model, again)
    assert expected.keys() == got.keys()
    for key in expected:
        torch.testing.assert_close(got[key], expected[key], rtol=1e-6, atol=1e-7)
    assert {name: each.dtype for name, each in kept.items() if "alpha" not in name} == {
        name: torch.int64 if "reshape" in name else torch.float32 for name in kept if "alpha" not in name}  # fmt: skip


@pytest.mark.parametrize("layout", UNSCALED)
def test_what_no_file_can_hold_is_refused(layout, maker, model, load):  # noqa: F811
    with pytest.raises(ValueError, match=rf"Load LoRA by Stream: A {layout} layer .* cannot be saved at strength 0.5"):
        load(LAYOUTS[layout](maker), model, strength=0.5, save_as="kept")


def test_encoders_are_saved_too(maker, model, dual, load, tmp_path):  # noqa: F811
    result = load(maker.encoders() | maker.kohya(), model, dual, **{**ZERO, T5_ENCODER: 0.5}, save_as="kept")
    (_, clip), kept = reload(result, tmp_path, model, dual)
    assert {name.split(".")[0] for name in kept} == {"lora_te3_encoder_block_1_layer_1_DenseReluDense_wi_0"}
    expected, got = patched(dual, result.result[1].patcher), patched(dual, clip.patcher)
    assert expected.keys() == got.keys() and len(got) == 1
    for key in expected:
        torch.testing.assert_close(got[key], expected[key], rtol=1e-6, atol=1e-7)


def test_a_file_is_never_overwritten(maker, model, load, tmp_path):  # noqa: F811
    for number in (1, 2):
        told = load(maker.kohya(), model, save_as="a b").ui["text"][0]
        assert told.endswith(f"loras/a b_0000{number}_.safetensors")
    with safe_open(tmp_path / "output/loras/a b_00002_.safetensors", "pt") as file:
        assert file.metadata() == {
            "flux_duet_from": "x.safetensors", "flux_duet_strengths": "1; all parts 1; blocks all"
        }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "output/loras").iterdir()) == [
        "a b_00001_.safetensors", "a b_00002_.safetensors"]  # fmt: skip


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "x\0"])
def test_no_place_outside_the_folder(name, maker, model, load):  # noqa: F811
    with pytest.raises(ValueError, match=r"is not a valid name in output/loras"):
        load(maker.kohya(), model, save_as=name)


def test_nothing_remains(maker, model, load):  # noqa: F811
    with pytest.raises(ValueError, match="nothing to save"):
        load(maker.kohya(), model, strength=0.0, save_as="kept")


def test_metadata_without_hashes(maker, model):
    """A hash of the whole file would be wrong for the rest of it."""
    from flux_duet.nodes.lora.save import metadata

    file = as_file("x", maker.kohya(), {"ss_network_dim": "4", "sshs_model_hash": "abc"})
    found = metadata(patches_of(file, model), Strengths({IMAGE: 0.5}))
    assert found["ss_network_dim"] == "4" and "sshs_model_hash" not in found
    assert found["flux_duet_strengths"] == "1; image 0.5; blocks all"


def test_half_precision_keeps_its_type(maker, model):
    weights = {name: each.half() for name, each in LAYOUTS["diffusers"](maker).items()}
    kept = remaining(patches_of(as_file("x", weights), model), Strengths(overall=0.3))
    assert all(torch.equal(kept[name], each) for name, each in weights.items())
    assert {each.dtype for name, each in kept.items() if name.endswith(".alpha")} == {torch.float32}
