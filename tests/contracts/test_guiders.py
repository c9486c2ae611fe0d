import comfy.samplers
import torch
from comfy.ldm.flux.model import Flux
from comfy.patcher_extension import CallbacksMP

from flux_duet.nodes.compat import guiders, sampling, wrappers

LATENT = torch.zeros(1, 16, 4, 6)


def run(model, prompt):
    noise = sampling.prepare_noise(LATENT, 1)
    with torch.inference_mode():
        return sampling.sample_custom(
            model, noise, 2.5, sampling.sampler("euler"), torch.tensor([0.5, 0.0]), prompt, prompt, LATENT,
            disable_pbar=True, seed=7,
        )  # fmt: skip


def around(model, kind, look):
    """A clone of a MODEL that shows `look` the executor of each call."""
    model = model.clone()

    def wrapper(executor, *args, **kwargs):
        look(executor)
        return executor(*args, **kwargs)

    wrappers.set_wrapper(model, kind, "a", wrapper)
    return model


def test_wrapped_objects(model, prompt):
    """An executor's `class_obj` is the guider for OUTER_SAMPLE and the transformer for DIFFUSION_MODEL."""
    seen = []
    for kind in (wrappers.OUTER_SAMPLE, wrappers.DIFFUSION_MODEL):
        run(around(model, kind, lambda executor: seen.append(guiders.wrapped_object(executor))), prompt[:1])
    assert isinstance(seen[0], comfy.samplers.CFGGuider)
    assert isinstance(seen[1], Flux)


def test_what_a_guider_holds(model, prompt):
    """As a run begins: `model_patcher`, `conds` by name as lists of entries, and `cfg`. From then on `inner_model`."""
    found, seen = [], []

    def look(executor):
        guider = guiders.wrapped_object(executor)
        found.append(guider)
        seen.append((guiders.model_of(guider).model, guiders.cfg_of(guider)))
        conds = guiders.conds_of(guider)
        assert {name: [entry["guidance"] for entry in cond] for name, cond in conds.items()} == {
            "positive": [3.5, 3.5], "negative": [3.5, 3.5]}  # fmt: skip

    def look_again(executor):
        seen.append(guiders.base_model_of(found[0]))

    run(around(around(model, wrappers.OUTER_SAMPLE, look), wrappers.CALC_COND_BATCH, look_again), prompt)
    assert seen == [(model.model, 2.5), model.model]
    assert (guiders.conds_of(object()), guiders.cfg_of(object())) == ({}, None)


def test_changed_conds_act(model, prompt):
    """What is put into `conds` when a run begins is what the run samples."""

    def change(executor):
        conds = guiders.conds_of(guiders.wrapped_object(executor))
        conds.update({name: cond[:1] for name, cond in conds.items()})

    assert torch.equal(run(around(model, wrappers.OUTER_SAMPLE, change), prompt), run(model, prompt[:1]))


def test_exchanged_options(model, prompt):
    """A run goes by the `model_options` that its guider has once OUTER_SAMPLE's wrappers are through."""
    seen = []

    def exchange(executor):
        guider = guiders.wrapped_object(executor)
        given = guiders.options_of(guider)
        assert given["transformer_options"]["wrappers"]
        options = {**given["transformer_options"], "mine": 1}
        guiders.set_options(guider, {**given, "transformer_options": options})

    wrapped = around(model, wrappers.OUTER_SAMPLE, exchange)

    def note(executor, *args, **kwargs):
        seen.append(args[7]["mine"])
        return executor(*args, **kwargs)

    wrappers.set_wrapper(wrapped, wrappers.DIFFUSION_MODEL, "b", note)
    run(wrapped, prompt[:1])
    assert set(seen) == {1}


def test_another_model(model, prompt):
    """A guider samples with the patcher that it has when its run begins."""
    other = model.clone()

    def exchange(executor):
        guider = guiders.wrapped_object(executor)
        guiders.set_model(guider, other)
        assert guiders.model_of(guider) is other

    ran = []
    other.add_callback_with_key(CallbacksMP.ON_PRE_RUN, "a", ran.append)
    run(around(model, wrappers.OUTER_SAMPLE, exchange), prompt[:1])
    assert ran == [other]
