"""Load Embedding returns the extras that Save Embedding has saved; others are refused by name."""

import math

import comfy.clip_vision
import comfy.controlnet
import comfy.sd
import comfy.utils
import comfy_extras.nodes_hooks as hook_nodes
import folder_paths
import pytest
import torch
from comfy.ldm.flux.redux import ReduxImageEncoder
from comfy_extras import nodes_edit_model, nodes_flux, nodes_video_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nodes
from flux_duet.nodes.condition.conditioning import join, split
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.encode.embeddings import file_extras, stream_file
from flux_duet.nodes.encode.embeddings.nodes import LoadStream, SaveStream
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import native
from flux_duet.tests.comfy.test_encode_patched import hooked, hooks

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch, as_executed):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def prompt() -> list:
    return [[randn(1, 5, 64), {"pooled_output": randn(1, 64), "guidance": 3.5}]]


def through_a_file(tmp_path, conditioning: list) -> list:
    """Split, saved, loaded and joined again."""
    vec, txt, guidance = split(conditioning)
    SaveStream.execute("it", vec=vec, txt=txt)
    loaded = LoadStream.execute("it_00001_.safetensors [output]").args
    for stream, other in zip((vec, txt), loaded, strict=False):
        assert [span.extras for span in stream.spans] == [span.extras for span in other.spans]
    return join(*loaded[:2], guidance)


# ---- ComfyUI's own nodes

MASK = torch.ones(1, 8, 8)
LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
CONTROL = comfy.controlnet.ControlNet(torch.nn.Linear(1, 1))
STYLE, IMAGE = comfy.sd.StyleModel(ReduxImageEncoder(8, 64)), comfy.clip_vision.Output()
IMAGE.last_hidden_state = torch.ones(1, 3, 8)


def part(start: float, end: float):
    return lambda given: nodes.ConditioningSetTimestepRange().set_range(given, start, end)[0]


def with_default(given, default=None):
    return hook_nodes.ConditioningSetDefaultAndCombine().set_default_and_combine(given, default or prompt())[0]


def with_properties(given, **options):
    return hook_nodes.ConditioningSetProperties().set_properties(given, 1.0, "default", **options)[0]


SAVED = {
    "time range": part(0.25, 0.7),
    "whole range": part(0.0, 1.0),
    "no range": part(0.7, 0.25),
    "tenths": part(0.1 + 0.2, 1 / 3),
    "strength": lambda given: nodes.ConditioningSetAreaStrength().append(given, 1.7)[0],
    "default": with_default,
    "default in a range": lambda given: with_default(given, part(0.2, 0.9)(prompt())),
    "properties in a range": lambda given: with_properties(given, timesteps=(0.2, 0.9)),
    "guidance": lambda given: nodes_flux.FluxGuidance.execute(given, 2.5)[0],
    "no guidance": lambda given: nodes_flux.FluxDisableGuidance.execute(given)[0],
    "combined": lambda given: nodes.ConditioningCombine().combine(part(0, 0.5)(given), part(0.5, 1)(prompt()))[0],
    "concatenated": lambda given: nodes.ConditioningConcat().concat(given, prompt())[0],
    "averaged": lambda given: nodes.ConditioningAverage().addWeighted(given, prompt(), 0.3)[0],
    "zeroed": lambda given: nodes.ConditioningZeroOut().zero_out(given)[0],
    **{f"reference {method}": lambda given, method=method: (
           nodes_flux.FluxKontextMultiReferenceLatentMethod.execute(given, method)[0])
       for method in ("offset", "index", "uxo/uno", "index_timestep_zero")},
}  # fmt: skip
REFUSED = {
    "area": (lambda given: nodes.ConditioningSetArea().append(given, 64, 64, 0, 0, 1.0)[0], "area"),
    "percentage": (lambda given: nodes.ConditioningSetAreaPercentage().append(given, 0.5, 0.5, 0, 0, 1.0)[0], "area"),
    "video": (lambda given: nodes_video_model.ConditioningSetAreaPercentageVideo().append(
        given, 0.5, 0.5, 1, 0, 0, 0, 1.0)[0], "area"),
    "mask": (lambda given: nodes.ConditioningSetMask().append(given, MASK, "default", 1.0)[0], "mask"),
    "bounds": (lambda given: nodes.ConditioningSetMask().append(given, MASK, "mask bounds", 1.0)[0], "mask"),
    "masked properties": (lambda given: with_properties(given, mask=MASK), "mask"),
    "hooks": (lambda given: with_properties(given, hooks=hooks()), "hooks"),
    "ControlNet": (lambda given: nodes.ControlNetApply().apply_controlnet(given, CONTROL, MASK[..., None], 1.0)[0],
                   "control"),
    "ControlNet advanced": (lambda given: nodes.ControlNetApplyAdvanced().apply_controlnet(
        given, given, CONTROL, MASK[..., None], 1.0, 0.0, 1.0)[0], "control"),
    "reference": (lambda given: nodes_edit_model.ReferenceLatent.execute(given, LATENT)[0], "reference_latents"),
    "redux": (lambda given: nodes.StyleModelApply().apply_stylemodel(given, STYLE, IMAGE, 0.5, "attn_bias")[0],
                   "attention_mask"),
    "unCLIP": (lambda given: nodes.unCLIPConditioning().apply_adm(given, None, 1.0, 0.0)[0], "unclip_conditioning"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_what_a_native_node_adds_comes_back(name, tmp_path):
    conditioning = SAVED[name](prompt())
    expected = join(*split(conditioning))
    native.assert_same(through_a_file(tmp_path, conditioning), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_hold_is_refused_by_name(name, tmp_path):
    node, key = REFUSED[name]
    assert_refused(node(prompt()), key, tmp_path)


def test_a_picture_to_inpaint_is_refused_by_name(tiny, tmp_path):
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))
    picture, mask = torch.ones(1, 64, 64, 3), torch.ones(1, 64, 64)
    given = nodes.InpaintModelConditioning().encode(prompt(), prompt(), picture, vae, mask)[0]
    assert_refused(given, "concat_latent_image", tmp_path)


def assert_refused(conditioning: list, key: str, tmp_path):
    vec, txt, _ = split(conditioning)
    of_both = [] if key == "attention_mask" else [{"vec": vec}]  # which is for the rows of txt, and goes with it alone
    for streams in (*of_both, {"txt": txt}):
        with pytest.raises(ValueError, match=rf"has '{key}' .*which cannot be saved.*after loading"):
            SaveStream.execute("it", **streams)
    assert list(tmp_path.rglob("*.*")) == []


def test_scheduled_hooks_for_the_clip_alone(singles, tmp_path):
    clip, t5 = (hooked(each, hooks((0.0, 0.2), (0.5, 1.0)), True, False) for each in singles)
    expected = join(encode_clip(clip, "at night"), encode_t5(t5, "a circle")[0], 3.5)
    assert len(expected) == 2
    native.assert_same(through_a_file(tmp_path, expected), expected)


@pytest.mark.parametrize("timeline", ["1\n@s0.7 2", "1\n@2 2", "1\n@40% 2", "1\n@s0.9 2\n@s0.2 1"])
def test_this_pack_s_own_ranges(timeline, tmp_path):
    """From a sigma or a step on, which ComfyUI's ranges hold as sigmas up to 1e9."""
    (txt, entry), = prompt()  # fmt: skip
    vecs = {f"vec{number}": ClipVec((Span(number * entry["pooled_output"]),)) for number in (1, 2)}
    txts = {"txt1": T5Text((Span(txt),))}
    sigmas = torch.linspace(1, 0, 5)
    conditioning = Schedule.execute(vecs, txts, timeline, "1", sigmas=sigmas)[0]
    assert any(abs(value) == 1e9 for _, extra in conditioning for value in extra.values()
               if isinstance(value, float)) != ("%" in timeline)  # fmt: skip
    native.assert_same(through_a_file(tmp_path, conditioning), conditioning)


# ---- any values

ANY = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.floats(), max_size=2),
                st.sampled_from(["index", 10**400, -math.inf, 1e9, -1e9]))  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*file_extras.KINDS, "area", "prompt_type"]), ANY, max_size=4))
def test_whatever_is_saved_can_be_loaded(tmp_path, values):
    path = tmp_path / "it.safetensors"
    path.unlink(missing_ok=True)
    try:
        stream_file.save(path, {"vec": ClipVec((Span(torch.zeros(1, 64), values),))})
    except ValueError as error:
        assert str(error).startswith("Save Embedding: `vec` has ") and not path.exists()
        assert file_extras.fault(values)
    else:
        (span,) = stream_file.load(path).streams["vec"].spans
        assert span.extras == values
        assert [type(span.extras[key]) for key in values] == [type(value) for value in values.values()]


def test_more_than_a_file_takes_is_refused_before_it_is_written(tmp_path):
    span = Span(torch.zeros(1, 64))
    with pytest.raises(ValueError, match="these prompts cannot be saved in a file: .*1 to 64 encodings"):
        SaveStream.execute("it", vec=ClipVec((span,) * 65))
    assert list(tmp_path.rglob("*.*")) == []
