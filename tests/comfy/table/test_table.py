"""A run with a modulation table has the same latent, bit for bit, and its report is true."""

import comfy.model_management
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy_extras import nodes_edit_model, nodes_flux

from flux_duet.nano.layouts import Shape
from flux_duet.nodes.compat import modulation
from flux_duet.nodes.condition.blend.nodes import ClipNegative
from flux_duet.nodes.sample.choices import SCHEDULERS
from flux_duet.nodes.sample.nodes import ApplyDuet, ModulationTable
from flux_duet.nodes.sample.table import report, run
from flux_duet.nodes.sample.table import table as table_file
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.matrix.graph import CLIP_A, CLIP_B, prompt
from flux_duet.tests.comfy.table.runs import EMPTY, NEGATIVE, POSITIVE, STEPS, conditioning, mod_lora

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def with_table(model):
    return ModulationTable.execute(model)[0]


def sampled(model, *given, latent=EMPTY, steps=STEPS, **options) -> torch.Tensor:
    return sampling.sampled(model, *given, latent=latent, steps=steps, **options)["samples"]


def assert_same(model, *given, **options):
    plain = sampled(model, *given, **options)
    assert torch.equal(plain, sampled(with_table(model), *given, **options))
    assert plain.isfinite().all()


# Evaluations at noise levels that are no steps.
BETWEEN = {"dpm_2", "dpm_2_ancestral", "dpm_fast", "dpm_adaptive", "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp",
           "dpmpp_sde", "dpmpp_sde_gpu", "exp_heun_2_x0_sde", "er_sde", "seeds_2", "seeds_3", "sa_solver",
           "sa_solver_pece", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu",
           "dpmpp_3m_sde", "dpmpp_3m_sde_gpu", "exp_heun_2_x0"}  # fmt: skip


@pytest.mark.parametrize("sampler", comfy.samplers.KSampler.SAMPLERS)
def test_samplers(model, reports, sampler):
    assert_same(model, POSITIVE, sampler=sampler)
    (found,) = reports
    assert found.own.keys() <= {report.UNKNOWN} and (not found.own or sampler in BETWEEN)
    assert found.served or sampler in ("dpm_fast", "dpm_adaptive")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedulers(model, reports, scheduler):
    assert_same(model, POSITIVE, scheduler=scheduler)
    assert reports[0].served == STEPS and not reports[0].own


INPUTS = {
    "picture, denoise 0.6": {"latent": {"samples": randn(3, 1, 16, 8, 8)}, "denoise": 0.6},
    "batch": {"latent": {"samples": randn(4, 3, 16, 8, 8), "batch_index": [0, 3, 1]}},
    "masked": {"latent": {"samples": randn(3, 1, 16, 8, 8), "noise_mask": (randn(6, 1, 1, 64, 64) > 0).float()}},
    "odd size": {"latent": {"samples": torch.zeros(1, 16, 7, 9)}},
    "true CFG": {"negative": NEGATIVE, "cfg": 3.0},
    "true CFG, equal lengths": {"negative": conditioning(5), "cfg": 3.0},
    "true CFG, batch": {"negative": conditioning(5), "cfg": 3.0, "latent": {"samples": randn(4, 2, 16, 8, 8)}},
    "a part of a run": {"start_step": 1, "end_step": 3},
    "one step": {"steps": 1},
}


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
def test_inputs(model, reports, given):
    assert_same(model, POSITIVE, **given)
    assert reports[0].served and not reports[0].own


@pytest.mark.parametrize("shape", [Shape(), Shape(guidance=False)], ids=["dev", "schnell"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_models(save_models, reports, shape, dtype):
    found = comfy.sd.load_diffusion_model(str(save_models(shape, dtype)["flux"]))
    assert_same(found, POSITIVE)
    assert_same(comfy.sd.load_lora_for_models(found, None, mod_lora(), 1.0, 0.0)[0], POSITIVE)
    assert [each.served for each in reports] == [STEPS, STEPS]


def test_kontext(model, reports):
    positive = nodes_edit_model.ReferenceLatent.execute(POSITIVE, {"samples": randn(22, 1, 16, 6, 10)})[0]
    assert_same(model, positive)
    assert reports[0].served == STEPS
    doubled = nodes_flux.FluxKontextMultiReferenceLatentMethod.execute(positive, "index_timestep_zero")[0]
    for each in (model, with_table(model)):  # natively it raises on FLUX.1
        with pytest.raises(RuntimeError, match="shape"):
            sampled(each, doubled)


@pytest.mark.parametrize("first", [True, False])
def test_with_apply_duet(model, reports, first):
    """In either order, under a native sampler, with a control."""
    order = (ModulationTable, ApplyDuet) if first else (ApplyDuet, ModulationTable)
    tabled = model
    for node in order:
        tabled = node.execute(tabled)[0]
    expected = sampling.natively(ApplyDuet.execute(model)[0], POSITIVE, latent=EMPTY, steps=STEPS)["samples"]
    assert torch.equal(expected, sampling.natively(tabled, POSITIVE, latent=EMPTY, steps=STEPS)["samples"])
    assert reports[0].served == STEPS


def test_the_switch_on_the_sampler(model, reports):
    assert torch.equal(sampled(model, POSITIVE), sampled(model, POSITIVE, modulation_table=True))
    assert len(reports) == 1 and reports[0].served == STEPS


def test_two_prompts_one_after_another(model, reports):
    """A run does not read what another run left."""
    tabled = with_table(model)
    for positive in (POSITIVE, conditioning(7), POSITIVE):
        assert torch.equal(sampled(model, positive), sampled(tabled, positive))


@pytest.mark.parametrize("strengths", [(1.0, 0.4), (0.0, 1.0)])
def test_a_lora_on_the_layers(model, reports, strengths):
    """On either side of the node, and with another strength in the next run."""
    plain = sampled(model, POSITIVE)
    for strength in strengths:
        patched = comfy.sd.load_lora_for_models(model, None, mod_lora(), strength, 0.0)[0]
        expected = sampled(patched, POSITIVE)
        assert torch.equal(expected, sampled(with_table(patched), POSITIVE))
        after = comfy.sd.load_lora_for_models(with_table(model), None, mod_lora(), strength, 0.0)[0]
        assert torch.equal(expected, sampled(after, POSITIVE))
        assert torch.equal(expected, plain) == (strength == 0.0)
        assert torch.equal(plain, sampled(with_table(model), POSITIVE))
        assert torch.equal(expected, sampled(patched, POSITIVE)), "nothing stays behind"
    assert all(each.served == STEPS for each in reports)


def test_interruption(model, monkeypatch):
    """During the build and during a served step: the layers' own forwards are back."""
    layers = modulation.layers(model.model.diffusion_model)
    calls, last = [], 0

    def interrupt():
        calls.append(1)
        if len(calls) == last:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
    expected = sampled(model, POSITIVE)
    for each in (9, 150):
        calls.clear()
        last = each
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            sampled(with_table(model), POSITIVE)
        assert not any("forward" in vars(each.lin) for each in layers)
        last = 0
        assert torch.equal(expected, sampled(model, POSITIVE))
        assert torch.equal(expected, sampled(with_table(model), POSITIVE))


def test_out_of_memory(model, reports, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(table_file, "_rows", full)
    assert_same(model, POSITIVE)
    assert reports[0].own == {report.MEMORY: STEPS}
    monkeypatch.setattr(table_file, "_rows", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampled(with_table(model), POSITIVE)


def test_a_table_in_parts(model, reports, monkeypatch):
    """A run longer than what fits fills its table again on the way."""
    fills, own = [], table_file._rows
    monkeypatch.setattr(table_file, "MOST_BYTES", 2 * 4 * sum(each.lin.out_features for each in
                        modulation.layers(model.model.diffusion_model)))  # fmt: skip
    monkeypatch.setattr(table_file, "_rows", lambda *args: fills.append(len(args[-1])) or own(*args))
    assert_same(model, POSITIVE, steps=5)
    assert fills == [2, 2, 1] and reports[0].served == 5


def test_a_block_that_another_pack_replaces(model, reports):
    """It may be given another vec: its layers compute it, those of the other blocks do not."""
    changed = model.clone()

    def louder(args, extra):
        return extra["original_block"]({**args, "vec": 1.5 * args["vec"]})

    changed.set_model_patch_replace(louder, "dit", "double_block", 1)
    assert_same(changed, POSITIVE)
    assert not torch.equal(sampled(changed, POSITIVE), sampled(model, POSITIVE))
    assert reports[0].served == STEPS
    for kind, count in (("double_block", 2), ("single_block", 3)):
        for number in range(count):
            changed.set_model_patch_replace(louder, "dit", kind, number)
    assert_same(changed, POSITIVE)
    assert reports[1].own == {report.OTHERS: STEPS}


def test_a_forward_that_another_pack_replaces(model, reports, monkeypatch):
    flux, own = model.model.diffusion_model, model.model.diffusion_model.forward_orig
    monkeypatch.setattr(flux, "forward_orig", lambda *args, **kwargs: 0.5 * own(*args, **kwargs))
    assert_same(model, POSITIVE)
    assert reports[0].own == {report.NOT_OWN: 1}


def test_what_controls_add_to_vec_is_in_the_table(model, reports, monkeypatch):
    """A CLIP negative acts in some blocks, and no layer computes anything after the first step."""
    made, own = [], table_file._rows
    monkeypatch.setattr(table_file, "_rows", lambda *args: made.append(1) or own(*args))
    positive = prompt(clip=ClipNegative.execute(CLIP_A, CLIP_B, 2.0, blocks="1-")[0])
    assert_same(model, positive)
    assert reports[0].served == STEPS and len(made) == 1
    assert not torch.equal(sampled(model, positive), sampled(model, prompt()))


def test_other_models_are_refused():
    class Other:
        model = None

    with pytest.raises(ValueError, match="Modulation Table: got"):
        ModulationTable.execute(Other())


def test_the_sentence(model, monkeypatch):
    told = []
    monkeypatch.setattr(run, "say", lambda text, before: told.append(text))
    sampled(with_table(model), POSITIVE)
    sampled(with_table(model), POSITIVE, sampler="dpm_2")
    weights = model.model.diffusion_model
    ours = sum(modulation.bytes_of(each.lin) for each in modulation.layers(weights)) / 2**20
    assert told[0].startswith(f"Modulation Table: {ours:.3g} of {modulation.bytes_of(weights) / 2**20:.3g} MiB of")
    assert f"for {STEPS} of {STEPS} evaluations" in told[0] and "Without" not in told[0]
    assert report.UNKNOWN in told[1]
