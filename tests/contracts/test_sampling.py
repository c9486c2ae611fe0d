import math

import pytest
import torch

from flux_duet.nodes.compat import sampling

EMPTY = {"samples": torch.zeros(1, 4, 8, 6), "downscale_ratio_spacial": 8}
LATENT = torch.zeros(1, 16, 8, 6)


def test_names():
    """Names of samplers and schedules are lists of strings; samplers that drop the second-to-last sigma are known."""
    assert {"euler", "heun", "dpm_2"} <= set(sampling.sampler_names())
    assert {"simple", "beta"} <= set(sampling.scheduler_names())
    assert [sampling.drops_second_last_sigma(name) for name in ("dpm_2", "euler")] == [True, False]


def test_latent_that_fits(model):
    """An empty latent gets the model's 16 channels, others stay; `downscale_ratio_spacial` scales its sides."""
    assert sampling.fitting_latent(model, EMPTY).shape == LATENT.shape
    half = {**EMPTY, "downscale_ratio_spacial": 16}
    assert sampling.RATIO == "downscale_ratio_"
    assert sampling.fitting_latent(model, half).shape == (1, 16, 16, 12)
    full = torch.ones(1, 16, 8, 6)
    assert sampling.fitting_latent(model, {"samples": full}) is full


def test_noise():
    """torch's generator on the CPU for a seed; `batch_index` picks the rows that a batch of that seed has."""
    expected = torch.randn(1, 16, 8, 6, generator=torch.manual_seed(5))
    assert torch.equal(sampling.prepare_noise(LATENT, 5), expected)
    third = sampling.prepare_noise(LATENT, 5, [2])
    generator = torch.manual_seed(5)
    assert torch.equal(third, [torch.randn(1, 16, 8, 6, generator=generator) for _ in range(3)][2])


def test_runs(model, prompt):
    """KSampler's run is SamplerCustom's with its sigmas, bit for bit; a GUIDER is a CFGGuider."""
    noise, options = sampling.prepare_noise(LATENT, 1), {"disable_pbar": True, "seed": 1}
    sigmas = sampling.run_sigmas(model, 2, "euler", "simple", 1.0)
    with torch.inference_mode():
        one = sampling.sample(model, noise, 2, 1.0, "euler", "simple", prompt, prompt, LATENT, denoise=1.0, **options)
        other = sampling.sample_custom(
            model, noise, 1.0, sampling.sampler("euler"), sigmas, prompt, prompt, LATENT, **options
        )
    assert torch.equal(one, other)
    assert one.abs().sum() > 0
    assert sampling.CFGGuider(model).model_patcher is model


def test_a_sampler_of_a_function(model, prompt):
    """A function gets (model, x, sigmas, extra_args, callback, disable); `model(x, sigma, **extra_args)` is x0."""
    seen = []

    def step(model, x, sigmas, extra_args=None, callback=None, disable=None):
        x0 = model(x, sigmas[:1], **extra_args)
        callback({"x": x, "i": 0, "sigma": sigmas[0], "sigma_hat": sigmas[0], "denoised": x0})
        return x + (x - x0) / sigmas[0] * (sigmas[1] - sigmas[0])

    def callback(*args):
        seen.append(args)

    noise, sigmas = sampling.prepare_noise(LATENT, 1), torch.tensor([1.0, 0.0])
    given = model, noise, 1.0
    rest = {"callback": callback, "disable_pbar": True, "seed": 1}
    with torch.inference_mode():
        own = sampling.sample_custom(*given, sampling.solver(step), sigmas, prompt, prompt, LATENT, **rest)
        euler = sampling.sample_custom(*given, sampling.sampler("euler"), sigmas, prompt, prompt, LATENT, **rest)
    assert torch.equal(own, euler)
    assert [(step, total) for step, _, _, total in seen] == [(0, 1), (0, 1)]
    with torch.inference_mode():
        again = sampling.solver(sampling.sampler_function("euler"))
        again = sampling.sample_custom(*given, again, sigmas, prompt, prompt, LATENT, **rest)
    assert torch.equal(again, euler)


def test_names_of_solvers():
    """A SAMPLER's `sampler_function` is named after it; one without tells its class."""
    assert sampling.solver_name(sampling.sampler("euler")) == "sample_euler"
    assert sampling.solver_name(object()) == "object"


def test_percent_and_sigma(model):
    """A MODEL's `model_sampling`, exchanged or not, says sigma; a BaseModel has its own as an attribute."""
    assert sampling.sigma_max(model) == 1.0
    own, shifted = sampling.percent_to_sigma(model), model.clone()
    assert own(0.5) == sampling.percent_to_sigma_in(model.model)(0.5)
    shifted.add_object_patch("model_sampling", given := sampling.flux_sampling(0.5))
    assert sampling.percent_to_sigma(shifted)(0.5) == given.percent_to_sigma(0.5) != own(0.5)


def test_sigmas_of_a_run(model):
    """[steps + 1], from the first sigma to 0; with denoise, the end of a longer schedule."""
    schedule = sampling.schedule_sigmas(model.get_model_object("model_sampling"), "simple", 4)
    assert torch.equal(sampling.run_sigmas(model, 4, "euler", "simple", 1.0), schedule)
    assert (schedule.shape, schedule[-1]) == ((5,), 0)
    assert torch.equal(sampling.run_sigmas(model, 2, "euler", "simple", 0.5), schedule[-3:])


@pytest.mark.parametrize("made", ["flow", "flux"])
def test_sigma_of_a_percent(made):
    """From 1 at the run's start to 0 at its end, decreasing; dev's is BFL's time shift, schnell's is time itself."""
    found = sampling.flow_sampling() if made == "flow" else sampling.flux_sampling(1.15)
    percents = [each / 50 for each in range(51)]
    sigmas = [float(found.percent_to_sigma(each)) for each in percents]
    assert (sigmas[0], sigmas[-1]) == (1.0, 0.0)
    assert all(one > other for one, other in zip(sigmas, sigmas[1:], strict=False))
    mu = math.exp(1.15) if made == "flux" else 1.0
    expected = [mu / (mu + 1 / (1 - each) - 1) for each in percents[:-1]]
    assert sigmas[:-1] == pytest.approx(expected, abs=1e-4)
    assert float(found.sigma_max) == pytest.approx(1.0)


def entry(uuid: str, **placing) -> dict:
    return {"model_conds": {}, "uuid": uuid, **placing}


def test_areas():
    """`area` is (height, width, top, left), `mult` its weight; an entry outside of its time range has neither."""
    x, sigma = torch.zeros(1, 1, 8, 8), torch.tensor([0.5])
    given = [
        entry("all", strength=2.0),
        entry("left", area=(8, 4, 0, 0)),
        entry("mask", mask=torch.full((1, 8, 8), 0.5), mask_strength=0.5),
        entry("over", timestep_end=0.6),
        entry("to come", timestep_start=0.4),
    ]
    found = {each.uuid: each for each in sampling.areas_of(given, [], x, sigma)}
    assert list(found) == ["all", "left", "mask"]
    assert found["all"].area is None
    assert torch.equal(found["all"].mult, torch.full_like(x, 2.0))
    assert list(found["left"].area) == [8, 4, 0, 0]
    assert found["left"].mult[0, 0, 0].tolist() == [1, 1, 1, 1]  # faded at its inner edge over a quarter of its width
    assert torch.equal(found["mask"].mult, torch.full_like(x, 0.25))


def test_default_entries():
    """Default entries have weight 1 minus the weights of the others."""
    x, sigma, mask = torch.zeros(1, 1, 4, 4), torch.tensor([0.5]), torch.zeros(1, 4, 4)
    mask[..., :2] = 0.75
    plain, rest = sampling.areas_of([entry("plain", mask=mask)], [entry("rest")], x, sigma)
    assert (plain.uuid, rest.uuid) == ("plain", "rest")
    assert torch.equal(rest.mult[0, 0], 1 - mask[0])


def test_mask_of_a_latent():
    """Bilinear to the latent's size, repeated for its channels and batch."""
    samples, mask = torch.zeros(2, 3, 4, 6), torch.zeros(8, 12)
    mask[:, :6] = 1
    made = sampling.noise_mask(mask, samples)
    assert made.shape == samples.shape
    assert torch.equal(made, (torch.arange(6) < 3).float().expand(2, 3, 4, 6))


def test_timesteps(model):
    """What the transformer is given for each sigma of a run but 0: FLUX.1's are equal to sigma."""
    sigmas = sampling.run_sigmas(model, 5, "euler", "simple", 1.0)
    assert sampling.timesteps_in(model.model, sigmas) == sigmas[:-1].tolist()
    assert sampling.timesteps_in(model.model, None) == []
