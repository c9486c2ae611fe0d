"""LoRAs act on Load CLIP-L's and Load T5's CLIPs as on DualCLIPLoader's, with the key names of all trainers."""

import comfy.hooks
import comfy.lora
import comfy.sd
import pytest
import torch
from comfy_extras.nodes_model_merging import CLIPSave

from flux_duet.nodes.encode.load import loading
from flux_duet.nodes.encode.load.lazy_t5 import Unread
from flux_duet.nodes.encode.load.loading import load_t5
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.test_encode_patched import differs, hooked, ours, theirs, with_lora

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

CLIP_MODULES = [f"text_model.encoder.layers.{block}.{part}" for block in (0, 1)
                for part in ("mlp.fc1", "mlp.fc2", "self_attn.q_proj", "self_attn.out_proj")]  # fmt: skip
T5_MODULES = [
    f"encoder.block.{block}.layer.{part}"
    for block in (0, 1)
    for part in ("0.SelfAttention.q", "0.SelfAttention.o", "1.DenseReluDense.wi_0", "1.DenseReluDense.wo")
]
# What a trainer calls a module: kohya, OneTrainer and LyCORIS write a flat name after a prefix, diffusers and ComfyUI
# the dotted one. Each with what it acts on in FLUX.1's pair: (vec, txt).
NAMES = {
    "lora_te_{flat}": (True, False),
    "lora_te1_{flat}": (True, False),
    "lora_te2_{flat}": (False, True),
    "lora_te3_{flat}": (False, True),
    "lora_te4_{flat}": (False, False),
    "lora_prior_te_{flat}": (False, False),
    "lycoris_te2_{flat}": (False, False),
    "text_encoder.{dotted}": (True, False),
    "text_encoder_2.{dotted}": (False, False),
    "text_encoder_3.{dotted}": (False, False),
    "text_encoders.{encoder}.transformer.{dotted}": (True, True),
    "text_encoders.transformer.{dotted}": (False, True),
    "text_encoders.{dotted}": (False, False),
    "{encoder}.transformer.{dotted}": (False, False),
}  # fmt: skip
SIDES = {
    "kohya": ("lora_up.weight", "lora_down.weight"),
    "peft": ("lora_B.weight", "lora_A.weight"),
    "diffusers": ("lora.up.weight", "lora.down.weight"),
}


def lora(dual, name: str, sides=SIDES["kohya"]) -> dict[str, torch.Tensor]:
    """Rank 2, for modules of both encoders under one naming."""
    weights, generator = dual.cond_stage_model.state_dict(), torch.Generator().manual_seed(3)
    made = {}
    for encoder, modules in (("clip_l", CLIP_MODULES), ("t5xxl", T5_MODULES)):
        for module in modules:
            rows, columns = weights[f"{encoder}.transformer.{module}.weight"].shape
            called = name.format(encoder=encoder, dotted=module, flat=module.replace(".", "_"))
            for side, shape in zip(sides, ((rows, 2), (2, columns)), strict=True):
                made[f"{called}.{side}"] = torch.randn(shape, generator=generator)
            made[f"{called}.alpha"] = torch.tensor(1.0)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_naming_acts_as_on_the_pair(dual, singles, name):
    given = lora(dual, name)
    expected, got = theirs(with_lora(dual, given)), ours(*(with_lora(clip, given) for clip in singles))
    native.assert_same(got, expected)
    assert differs(expected, theirs(dual)) == NAMES[name]


@pytest.mark.parametrize("sides", SIDES)
def test_every_layout_of_a_lora_acts_as_on_the_pair(dual, singles, sides):
    for name in ("lora_te1_{flat}", "lora_te3_{flat}", "text_encoders.{encoder}.transformer.{dotted}"):
        given = lora(dual, name, SIDES[sides])
        expected = theirs(with_lora(dual, given))
        native.assert_same(ours(*(with_lora(clip, given) for clip in singles)), expected)
        assert differs(expected, theirs(dual)) == NAMES[name]


def test_the_two_name_what_the_pair_names(dual, singles):
    """All key names that ComfyUI knows, and their weights."""
    pair, clip_l, t5 = (comfy.lora.model_lora_keys_clip(clip.cond_stage_model, {}) for clip in (dual, *singles))
    held = {clip: clip.cond_stage_model.state_dict() for clip in singles}
    clip_l, t5 = ({name: key for name, key in names.items() if key in held[clip]}
                  for clip, names in zip(singles, (clip_l, t5), strict=True))  # fmt: skip
    assert {**clip_l, **t5} == pair
    assert not clip_l.keys() & t5.keys()


def test_a_lora_hook_finds_them_too(dual, singles):
    given = lora(dual, "lora_te2_{flat}")

    def with_hook(clip):
        return hooked(clip, comfy.hooks.create_hook_lora(given, 1.0, 1.0), False)

    expected = theirs(with_hook(dual))
    assert differs(expected, theirs(dual)) == (False, True)
    (txt, extras), (their_txt, their_extras) = ours(*map(with_hook, singles))[0], expected[0]
    assert torch.equal(txt, their_txt) and torch.equal(extras["pooled_output"], their_extras["pooled_output"])


@pytest.mark.parametrize("name", ["lora_te1_{flat}", "lora_te3_{flat}", "text_encoders.{encoder}.transformer.{dotted}"])
def test_a_bypass_lora_finds_them_too(dual, singles, tiny, name):
    """Load LoRA (Bypass) adds to the layers' outputs, and does not change the weights."""
    given = lora(dual, name)

    def bypassed(clip):
        return comfy.sd.load_bypass_lora_for_models(None, clip, given, 0.0, 1.0)[1]

    expected = theirs(bypassed(dual))
    assert differs(expected, theirs(dual)) == NAMES[name]
    for t5 in (singles[1], load_t5(str(tiny["t5xxl"]))):  # read, and not read yet
        native.assert_same(ours(bypassed(singles[0]), bypassed(t5)), expected)


def test_a_lora_reads_no_file(dual, tiny, monkeypatch):
    path = str(tiny["t5xxl"])
    load_t5(path)  # its first load, at which the header is read
    monkeypatch.setattr(loading, "read_weights", lambda path: pytest.fail(f"{path} was read"))
    patched = with_lora(load_t5(path), lora(dual, "lora_te3_{flat}"))
    assert isinstance(patched.cond_stage_model.t5xxl.transformer, Unread)
    assert len(patched.patcher.patches) == len(T5_MODULES)


def test_t5_is_not_given_what_it_does_not_hold(singles, tmp_path, monkeypatch):
    """CLIP-L's placeholder among the names is no weight: it is not counted, listed, patched or saved."""
    weights = singles[1].cond_stage_model.state_dict()
    assert len(weights.keys()) == len(list(weights.keys())) == len(weights)
    assert {name.split(".")[0] for name in weights.keys()} == {"t5xxl"}
    saved = []
    monkeypatch.setattr("comfy.utils.save_torch_file", lambda sd, path, **_: saved.append((path, sd)))
    saver = CLIPSave()
    saver.output_dir = str(tmp_path)
    saver.save(singles[1], "saved")
    ((path, sd),) = saved
    assert "saved_t5xxl_" in path and any("SelfAttention" in key for key in sd)
    assert not any("text_model" in key for key in sd)
