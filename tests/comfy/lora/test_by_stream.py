"""Load LoRA by Stream against LoraLoader, for every layout of a LoRA, in patches, latents and encodings."""

import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

from flux_duet.nodes.condition.blocks import Blocks
from flux_duet.nodes.lora.load import as_file, patches_of
from flux_duet.nodes.lora.nodes import LoadLora
from flux_duet.nodes.lora.parts import CLIP_ENCODER, CLIP_STREAM, IMAGE, JOINT, PARTS, T5_ENCODER, T5_STREAM
from flux_duet.nodes.lora.strengths import Strengths
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.lora.files import LAYOUTS, Maker
from flux_duet.tests.comfy.sampling import natively
from flux_duet.tests.comfy.test_encode_patched import differs, ours, theirs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT, STEPS = {"samples": torch.zeros(1, 16, 8, 8)}, 2
ZERO = dict.fromkeys(PARTS, 0.0)


@pytest.fixture(scope="module")
def maker(model):
    return Maker(model)


@pytest.fixture(scope="module")
def prompt(dual):
    with torch.inference_mode():
        return native.encode(dual, "at night", "a red circle")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`load(weights, model, clip, t5, **options)` -> the node's NodeOutput, from a file among ComfyUI's LoRAs."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))

    def run(weights, model, clip=None, t5=None, **options):
        save_file({name: each.contiguous() for name, each in weights.items()}, tmp_path / "x.safetensors")
        return LoadLora.execute(model, "x.safetensors", clip=clip, t5=t5, **options)

    return run


def latent(model, prompt) -> torch.Tensor:
    return natively(model, prompt, latent=LATENT, steps=STEPS)["samples"]


def same_patches(one, other) -> bool:
    """Whether two patchers hold the same patches, value for value and in the same order."""

    def flat(value):
        value = getattr(value, "weights", value)
        if isinstance(value, tuple | list):
            for each in value:
                yield from flat(each)
        else:
            yield value

    def equal(a, b) -> bool:
        return torch.equal(a, b) if torch.is_tensor(a) else a == b

    if list(one.patches) != list(other.patches):
        return False
    pairs = [(list(flat(a)), list(flat(b))) for key in one.patches
             for a, b in zip(one.patches[key], other.patches[key], strict=True)]  # fmt: skip
    return all(len(a) == len(b) and all(map(equal, a, b)) for a, b in pairs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_neutral_is_lora_loader(layout, maker, model, load, prompt):
    weights = LAYOUTS[layout](maker)
    expected = comfy.sd.load_lora_for_models(model, None, weights, 0.7, 0.7)[0]
    got = load(weights, model, strength=0.7).result[0]
    assert expected.patches and same_patches(got, expected)
    if layout != "BFL control":  # it needs a picture beside the latent
        result = latent(got, prompt)
        assert torch.equal(result, latent(expected, prompt)) and not torch.equal(result, latent(model, prompt))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_zeros_add_nothing(layout, maker, model, load):
    weights = LAYOUTS[layout](maker)
    assert load(weights, model, **ZERO).result[0] is model
    assert load(weights, model, strength=0.0).result[0] is model


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("part", [CLIP_STREAM, T5_STREAM, IMAGE, JOINT])
def test_one_part_is_its_patches_alone(layout, part, maker, model, load):
    """Against ComfyUI's own patches, of which those of other weights are taken out by name."""
    weights = LAYOUTS[layout](maker)
    expected = comfy.sd.load_lora_for_models(model, None, weights, 0.5, 0.0)[0]
    inside = {
        CLIP_STREAM: ("vector_in", "time_in", "guidance_in", "_mod.", ".modulation.", "adaLN"),
        T5_STREAM: ("txt_in", "txt_attn", "txt_mlp"),
        IMAGE: ("img_in", "img_attn", "img_mlp", "final_layer.linear"),
        JOINT: ("linear1", "linear2", "single_blocks.0.norm", "single_blocks.1.norm", "single_blocks.2.norm"),
    }[part]
    for key in [key for key in expected.patches if not any(name in key for name in inside)]:
        del expected.patches[key]
    got = load(weights, model, **{**ZERO, part: 0.5}).result[0]
    assert same_patches(got, expected)
    assert (got is model) == (not expected.patches)


def test_parts_of_encoders(maker, model, dual, singles, load):
    """One CLIP with both, and two with one each, as DualCLIPLoader's with LoraLoader."""
    weights = maker.encoders()
    expected = theirs(comfy.sd.load_lora_for_models(None, dual, weights, 0.0, 1.0)[1])
    before = theirs(dual)
    _, both, _ = load(weights, model, dual).result
    native.assert_same(theirs(both), expected)
    _, clip, t5 = load(weights, model, *singles).result
    native.assert_same(ours(clip, t5), expected)
    for part, changed in ((CLIP_ENCODER, (True, False)), (T5_ENCODER, (False, True))):
        alone = {**ZERO, part: 1.0}
        assert differs(theirs(load(weights, model, dual, **alone).result[1]), before) == changed
        found = load(weights, model, *singles, **alone).result
        assert differs(ours(*found[1:]), before) == changed
        assert [each is given for each, given in zip(found, (model, *singles), strict=True)] == [
            True, not changed[0], not changed[1]]  # fmt: skip


def test_blocks(maker, model, load):
    """Blocks that are not listed get nothing; what is in no block gets its strength."""
    got = load(maker.kohya(), model, blocks="1, 3").result[0]
    blocks = {key.split(".")[1] + key.split(".")[2] for key in got.patches if "_blocks." in key}
    assert blocks == {"double_blocks1", "single_blocks1"}
    outside = {key for key in got.patches if "_blocks." not in key}
    assert outside == {f"diffusion_model.{name}.weight" for name in maker.layers if "_blocks" not in name}
    with pytest.raises(ValueError, match="block 56"):
        load(maker.kohya(), model, blocks="56")


def test_they_stack(maker, model, load, prompt):
    """After LoraLoader and before it; a strength of the same LoRA in two nodes adds up."""
    one, two = maker.kohya(), Maker(model, 9).ai_toolkit()
    first = comfy.sd.load_lora_for_models(model, None, one, 1.0, 0.0)[0]
    expected = latent(comfy.sd.load_lora_for_models(first, None, two, 0.5, 0.0)[0], prompt)
    assert torch.equal(latent(load(two, first, strength=0.5).result[0], prompt), expected)
    ours_first = load(one, model).result[0]
    assert torch.equal(latent(comfy.sd.load_lora_for_models(ours_first, None, two, 0.5, 0.0)[0], prompt), expected)
    halves = load(one, load(one, model, **{**ZERO, IMAGE: 1.0}).result[0], **{IMAGE: 0.0}).result[0]
    torch.testing.assert_close(latent(halves, prompt), latent(ours_first, prompt))
    assert not model.patches


def test_what_acts_on_nothing_is_told(maker, model, dual, load, caplog):
    weights = {**maker.kohya(), **maker.encoders(), "lora_unet_no_such_layer.lora_up.weight": torch.ones(2, 2)}
    told = load(weights, model).ui["text"][0]
    count = len(maker.layers) * 3 + 7
    assert f"7 of the {count} tensors in x.safetensors have no effect" in told
    assert "connect `clip` and `t5`" in told and told.splitlines()[0] in caplog.text
    told = load(weights, model, dual).ui["text"][0]
    assert "1 of the" in told and "no_such_layer" in told
    assert load(maker.kohya(), model).ui["text"] == ("",)
    assert "a model other than FLUX.1" in load({"blocks.0.lora_up.weight": torch.ones(2, 2)}, model).ui["text"][0]


def test_unconnected_outputs_say_so(maker, model, load):
    _, clip, t5 = load(maker.kohya(), model).result
    assert "`clip` is not connected" in clip.message and "`t5` is not connected" in t5.message


def test_strengths_multiply(model, maker):
    lora = patches_of(as_file("x", maker.kohya()), model)
    strengths = Strengths({IMAGE: 0.5}, Blocks.parse("double"), 0.8)
    found = {(patch.place.part, patch.place.block is None): strength for patch, strength in lora.active(strengths)}
    assert found == {
        (IMAGE, True): 0.4, (IMAGE, False): 0.4, (CLIP_STREAM, True): 0.8, (CLIP_STREAM, False): 0.8,
        (T5_STREAM, True): 0.8, (T5_STREAM, False): 0.8,
    }  # fmt: skip
