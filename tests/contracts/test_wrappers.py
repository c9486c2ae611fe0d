import comfy.samplers
import torch
from comfy.ldm.flux.model import Flux

from flux_duet.nodes.compat import sampling, wrappers

LATENT = torch.zeros(1, 16, 4, 6)


def run(model, prompt, sigmas=(0.5, 0.0)):
    noise = sampling.prepare_noise(LATENT, 1)
    with torch.inference_mode():
        return sampling.sample_custom(
            model, noise, 1.0, sampling.sampler("euler"), torch.tensor(sigmas), prompt, prompt, LATENT,
            disable_pbar=True, seed=7,
        )  # fmt: skip


def spy(model, kind, *keys):
    """A clone whose wrappers record (key, class_obj, args, kwargs) and continue."""
    calls, model = [], model.clone()
    for key in keys:

        def note(executor, *args, key=key, **kwargs):
            calls.append((key, executor.class_obj, args, kwargs))
            return executor(*args, **kwargs)

        wrappers.set_wrapper(model, kind, key, note)  # fmt: skip
    return model, calls


def test_names():
    """Strings, the keys of `transformer_options["wrappers"]`."""
    names = wrappers.OUTER_SAMPLE, wrappers.CALC_COND_BATCH, wrappers.APPLY_MODEL, wrappers.DIFFUSION_MODEL
    assert names == ("outer_sample", "calc_cond_batch", "apply_model", "diffusion_model")


def test_around_a_run(model, prompt):
    """OUTER_SAMPLE: (noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed); a guider's."""
    wrapped, seen = model.clone(), []

    def around(executor, *args, **kwargs):
        guider = executor.class_obj
        assert isinstance(guider, comfy.samplers.CFGGuider)
        assert guider.model_patcher.model is model.model
        assert guider.model_options["transformer_options"]["wrappers"]["outer_sample"] == {"a": [around]}
        entries = guider.conds["positive"]
        assert [entry["cross_attn"].shape[1] for entry in entries] == [3, 4]
        for entry, (_, given) in zip(entries, prompt, strict=True):
            assert torch.equal(entry["pooled_output"], given["pooled_output"])
        seen.append((args, kwargs))
        return executor(*args, **kwargs)

    wrappers.set_wrapper(wrapped, wrappers.OUTER_SAMPLE, "a", around)
    out = run(wrapped, prompt)
    [(args, kwargs)] = seen
    assert [args[0].shape, args[1].shape, type(args[2]).__name__, args[3].tolist()] == [
        LATENT.shape, LATENT.shape, "KSAMPLER", [0.5, 0.0]]  # fmt: skip
    assert (args[4], kwargs.get("seed", args[7] if len(args) > 7 else None)) == (None, 7)
    assert torch.equal(out, run(model, prompt))


def test_around_an_evaluation(model, prompt):
    """CALC_COND_BATCH: (model, conds, x, timestep, model_options), `conds` a list of prompts, each a list of entries.

    Entries hold `uuid` and `model_conds` under Flux.forward's names; options hold sample_sigmas.
    """
    wrapped, calls = spy(model, wrappers.CALC_COND_BATCH, "a")
    run(wrapped, prompt, (0.75, 0.5, 0.0))
    assert len(calls) == 2
    _, _, (base, conds, x, timestep, options), kwargs = calls[0]
    assert (base is model.model, kwargs, x.shape) == (True, {}, LATENT.shape)
    assert timestep.tolist() == [0.75]
    assert options["transformer_options"]["sample_sigmas"].tolist() == [0.75, 0.5, 0.0]
    positive = conds[0]
    assert [entry["model_conds"]["c_crossattn"].cond.shape[1] for entry in positive] == [3, 4]
    assert {"uuid", "model_conds"} <= positive[0].keys()
    held = {name: each.cond for name, each in positive[0]["model_conds"].items()}
    assert {"c_crossattn", "y", "guidance"} <= held.keys()
    assert torch.equal(held["y"], prompt[0][1]["pooled_output"])
    assert torch.equal(held["c_crossattn"], prompt[0][0])
    assert held["guidance"].tolist() == [3.5]


def test_a_cond_of_a_batch(model, prompt):
    """`process_cond(batch_size, area)` repeats a value's rows to the batch and keeps its class; `cond` is the value."""
    wrapped, calls = spy(model, wrappers.CALC_COND_BATCH, "a")
    run(wrapped, prompt)
    cond = calls[0][2][1][0][0]["model_conds"]["y"]
    twice = cond.process_cond(batch_size=2, area=None)
    assert type(twice) is type(cond)
    assert torch.equal(twice.cond, cond.cond.repeat(2, 1))


def test_around_the_model(model, prompt):
    """APPLY_MODEL: (x, t, c_concat, c_crossattn, control, transformer_options), the rest by name; x_t and sigma."""
    wrapped, calls = spy(model, wrappers.APPLY_MODEL, "a")
    run(wrapped, prompt[:1])
    [(_, base, (x, t, concat, txt, control, options), kwargs)] = calls
    assert base is model.model
    assert (x.shape, t.tolist(), concat, control) == (LATENT.shape, [0.5], None, None)
    assert torch.equal(txt, prompt[0][0])
    assert torch.equal(kwargs["y"], prompt[0][1]["pooled_output"])
    assert {"cond_or_uncond", "sigmas", "uuids"} <= options.keys()


def test_around_the_transformer(model, prompt):
    """DIFFUSION_MODEL: (x, timestep, context, y, guidance, ref_latents, control, transformer_options) of Flux."""
    wrapped, calls = spy(model, wrappers.DIFFUSION_MODEL, "a")
    run(wrapped, prompt[:1])
    [(_, flux, (x, timestep, context, y, guidance, references, control, options), _)] = calls
    assert isinstance(flux, Flux)
    assert (x.shape, timestep.tolist(), guidance.tolist()) == (LATENT.shape, [0.5], [3.5])
    assert (references, control) == (None, None)
    assert torch.equal(context, prompt[0][0].to(context))
    assert torch.equal(y, prompt[0][1]["pooled_output"].to(y))
    assert options["cond_or_uncond"] == [0]
    assert options["sigmas"].tolist() == [0.5]


def test_order(model, prompt):
    """Wrappers are called in the order of their dict, which already has the MODEL's own during a run."""
    wrapped, calls = spy(model, wrappers.CALC_COND_BATCH, "first", "second")

    def noting(key):
        def note(executor, *args):
            calls.append((key,))
            return executor(*args)

        return note

    def around(executor, *args, **kwargs):
        guider = executor.class_obj
        options = guider.model_options["transformer_options"]
        for outermost, key in ((True, "outer"), (False, "inner")):
            options = wrappers.with_wrapper(options, wrappers.CALC_COND_BATCH, key, noting(key), outermost)
        guider.model_options = {**guider.model_options, "transformer_options": options}
        return executor(*args, **kwargs)

    wrappers.set_wrapper(wrapped, wrappers.OUTER_SAMPLE, "a", around)
    run(wrapped, prompt[:1])
    assert [call[0] for call in calls] == ["outer", "first", "second", "inner"]


def test_the_same_key_again(model, prompt):
    """A key has one wrapper of ours, the last one set; the given MODEL is unchanged."""
    wrapped, calls = spy(model, wrappers.APPLY_MODEL, "a", "a")
    run(wrapped, prompt[:1])
    assert len(calls) == 1
    assert not model.wrappers.get(wrappers.APPLY_MODEL)
