"""Probes of a run that keeps a part of the picture: numbers are of what is repainted, the picture is the same."""

import json

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.grid.variance import PARTS, analyse
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import masks as masks_of
from flux_duet.nodes.probe.heat.reading import otsu
from flux_duet.nodes.probe.influence.effects import ROADS
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence, ShowInfluence
from flux_duet.nodes.probe.repainted import NOTHING, told
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy import native

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, SEED, SIDE = 4, 5, 8


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int) -> ClipVec:
    return ClipVec((Span(randn(seed, 1, 64)),))


def txt(seed: int) -> T5Text:
    return T5Text((Span(randn(seed, 1, 9, 64)),))


VEC, TXT, NO_VEC, NO_TXT = vec(1), txt(2), vec(3), txt(4)
WAYS = {"v11": (VEC, TXT), "v10": (NO_VEC, TXT), "v01": (VEC, NO_TXT), "v00": (NO_VEC, NO_TXT)}
PICTURE = randn(9, 1, 16, SIDE, SIDE)


def half(size: int = SIDE) -> torch.Tensor:
    """The right half is repainted."""
    mask = torch.zeros(1, size, size)
    mask[..., size // 2 :] = 1
    return mask


SOFT = torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE)
ONE, PAIR = PICTURE, torch.cat([PICTURE, randn(10, 1, 16, SIDE, SIDE)])
LATENTS = {
    "half": {"samples": ONE, "noise_mask": half()},
    "in pixels": {"samples": ONE, "noise_mask": half(8 * SIDE)},
    "soft": {"samples": ONE, "noise_mask": SOFT},
    "one mask for two": {"samples": PAIR, "noise_mask": half()},
    "a mask for each": {"samples": PAIR, "noise_mask": torch.cat([half(), SOFT])},
}


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(scope="module")
def vae(tiny):
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))


def sampled(model, positive, latent, steps=STEPS) -> dict:
    return MMDiTSampler.execute(
        model, positive, latent, None, seed=SEED, steps=steps, sampler="euler", scheduler="simple"
    )[0]


def by_hand(model, latent: dict) -> tuple[list[dict[str, torch.Tensor]], list[torch.Tensor]]:
    """At each step of the run of v11: every way's velocity as the model gives it, and what the sampler takes of it."""
    positives = {way: join(*streams, 3.5) for way, streams in WAYS.items()}
    found, prompts = [], {}

    def ask(executor, model, conds, x, timestep, options):
        for way, positive in positives.items():
            if way not in prompts:
                prompts[way] = [
                    {
                        **conds[0][0],
                        "model_conds": {
                            **conds[0][0]["model_conds"],
                            "c_crossattn": type(conds[0][0]["model_conds"]["c_crossattn"])(positive[0][0]),
                            "y": type(conds[0][0]["model_conds"]["y"])(positive[0][1]["pooled_output"]),
                        },
                    }
                ]
        asked = {way: executor(model, [prompts[way]], x, timestep, options)[0] for way in positives}
        found.append({way: (x - out) / timestep[0] for way, out in asked.items()})
        return executor(model, conds, x, timestep, options)

    watched = model.clone()
    watched.add_wrapper_with_key("calc_cond_batch", "by hand", ask)
    sampled(watched, positives["v11"], latent)
    sigmas = custom.BasicScheduler.execute(model, "simple", STEPS, 1.0)[0]
    return found, native.masks_in_use(model, positives["v11"], latent, sigmas)


def numbers(velocities: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """The formulas of the help page, on velocities of any number of steps."""
    v11, v10, v01, v00 = (torch.cat([each[way].flatten() for each in velocities]).double() for way in WAYS)
    whole = v11 - v00
    parts = {"clip": (v11 - v10 + v01 - v00) / 2, "t5": (v11 - v01 + v10 - v00) / 2}
    lengths = {"D_clip": v11 - v10, "D_t5": v11 - v01, "solo_clip": v01 - v00, "solo_t5": v10 - v00, "whole": whole}
    return {
        **{name: float(each.norm() / v11.norm()) for name, each in lengths.items()},
        **{f"share_{road}": float(part @ whole / (whole @ whole)) for road, part in parts.items()},
    }


def taken(found, masks) -> list[dict[str, torch.Tensor]]:
    return [{way: mask * v for way, v in each.items()} for each, mask in zip(found, masks, strict=True)]


def influence(model, latent: dict):
    """(the run's LATENT, the reading, what Show Influence gives)."""
    ready, probe = Influence.execute(model, EMPTY, 1, NO_VEC, NO_TXT, txt=TXT).result
    out = sampled(ready, join(VEC, TXT, 3.5), latent)
    return out, probe.reading(out), ShowInfluence.execute(probe, out).result


# ---- Encoder Influence


@pytest.mark.parametrize("kind", LATENTS)
def test_influence_is_of_what_reaches_the_picture(model, kind):
    """In a model whose T5 prompt does much on the left, where most is kept."""

    def planted(apply_model, args):
        out = apply_model(args["input"], args["timestep"], **args["c"])
        says = args["c"]["c_crossattn"][:, 0, :16, None, None]
        return out + says * (torch.arange(SIDE) < SIDE // 2)

    model, latent = model.clone(), LATENTS[kind]
    model.set_model_unet_function_wrapper(planted)
    out, reading, (*_, said, _, data) = influence(model, latent)
    assert torch.equal(out["samples"], sampled(model, join(VEC, TXT, 3.5), latent)["samples"])
    found, masks = by_hand(model, latent)
    expected, dense = numbers(taken(found, masks)), numbers(found)
    measured = reading.numbers("whole run", EMPTY)
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=3e-4, abs=2e-5)
    assert expected["share_clip"] > dense["share_clip"] + 0.05, "what is kept must matter for this to mean anything"
    assert measured["share_clip"] + measured["share_t5"] == pytest.approx(1, abs=1e-9)
    data = json.loads(data)
    shares = [float(mask.mean()) for mask in masks[0]]
    assert data["repainted"] == pytest.approx(shares) and told(shares) in said
    for picture, each in enumerate(data["pictures"]):
        own = numbers([{way: v[picture : picture + 1] for way, v in step.items()} for step in taken(found, masks)])
        assert {name: each[EMPTY][name] for name in own} == pytest.approx(own, rel=3e-4, abs=2e-5)


@pytest.mark.parametrize("kind", ["half", "soft", "a mask for each"])
def test_influence_maps_are_against_the_mean_of_what_is_repainted(model, kind):
    _, reading, (_, _, clip_mask, t5_mask, *_) = influence(model, LATENTS[kind])
    found, masks = by_hand(model, LATENTS[kind])
    for step, (moment, mask) in enumerate(zip(reading.moments, masks, strict=True)):
        v11, v10, v01, v00 = (mask * found[step][way] for way in WAYS)
        # The mean by enumeration: over places, each as often as it is repainted.
        mean = (v11.square().sum((1, 2, 3)) / mask[:, 0].square().sum((1, 2))).sqrt()[:, None, None]
        parts = {"clip": (v11 - v10 + v01 - v00) / 2, "t5": (v11 - v01 + v10 - v00) / 2}
        expected = torch.stack([parts[road].norm(dim=1) / mean for road in ROADS])
        assert (moment.effects[EMPTY].maps - expected).abs().max() < 1e-4
    assert max(clip_mask.max(), t5_mask.max()) > 0.5
    if kind == "half":  # but for what the interpolation to pixels smears
        assert not clip_mask[..., : 8 * (SIDE // 2 - 1)].any() and not t5_mask[..., : 8 * (SIDE // 2 - 1)].any()


def test_the_floor_is_of_what_is_repainted_too(model):
    """Noise that is planted in the kept half alone is none."""

    def noisy(apply_model, args):
        out = apply_model(args["input"], args["timestep"], **args["c"])
        if len(args["cond_or_uncond"]) > 1:  # asked again, in a batch
            out[..., : SIDE // 2] += 0.1 * randn(len(out), *out[..., : SIDE // 2].shape)
        return out

    clone = model.clone()
    clone.set_model_unet_function_wrapper(noisy)
    floors = [influence(clone, latent)[1].floor("whole run") for latent in (LATENTS["half"], {"samples": ONE})]
    assert floors[0] < 1e-5 < 1e-2 < floors[1]


def test_differential_diffusion_as_each_step_repaints(model):
    """The mask in use is another at each step; its function is called as often as without a probe."""
    latent = {"samples": ONE, "noise_mask": SOFT.clamp_min(0.05)}
    calls = []

    def counted(model):
        model = model.clone()
        own = model.model_options["denoise_mask_function"]
        model.set_model_denoise_mask_function(lambda *args, **kwargs: calls.append(1) or own(*args, **kwargs))
        return model

    plain = counted(DifferentialDiffusion.execute(model)[0])
    picture = sampled(plain, join(VEC, TXT, 3.5), latent)["samples"]
    assert len(calls) == STEPS
    out, reading, (*_, data) = influence(plain, latent)
    assert torch.equal(out["samples"], picture) and len(calls) == 2 * STEPS
    found, masks = by_hand(plain, latent)
    shares = [float(mask.mean()) for mask in masks]
    assert len(set(shares)) > 2 and [float(each.repainted) for each in reading.moments] == pytest.approx(shares)
    assert [row["repainted"] for row in json.loads(data)["per_step"]] == pytest.approx(shares)
    for step, moment in enumerate(taken(found, masks)):
        expected, row = numbers([moment]), json.loads(data)["per_step"][step]
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=3e-4, abs=2e-5)


def test_a_mask_of_ones_changes_no_number(model):
    """And without one nothing is said."""
    *_, (*_, said, csv, data) = influence(model, {"samples": ONE})
    *_, (*_, full_said, _, full) = influence(model, {"samples": ONE, "noise_mask": torch.ones(1, SIDE, SIDE)})
    data, full = json.loads(data), json.loads(full)
    assert data["parts"] == full["parts"] and data["floor"] == full["floor"] and data["pictures"] == full["pictures"]
    assert data["repainted"] is None and "epainted" not in said and "repainted" not in csv
    assert full["repainted"] == [1.0] and told([1.0]) in full_said


def test_nothing_is_repainted(model, singles, vae):
    latent = {"samples": ONE, "noise_mask": torch.zeros(1, SIDE, SIDE)}
    out, _, (*_, said, _, data) = influence(model, latent)
    assert said.startswith(NOTHING) and "NaN" not in data
    assert torch.equal(out["samples"], sampled(model, join(VEC, TXT, 3.5), latent)["samples"])
    clip, t5 = singles
    _, said, data = WordAblation.execute(
        model, clip, t5, "at night", "a circle", latent, 3.5, SEED, STEPS, "euler", "simple"
    ).result
    assert said.startswith(NOTHING) and "NaN" not in data
    assert all(not any(each["encoded again"]) for each in json.loads(data)["words"])
    *_, data, said = swept(model, latent, vae=vae)
    assert said == NOTHING and json.loads(data)["decided"] == {"latents": None, "pixels": None}
    *_, data, said = drawn(model, singles, vae, latent)
    assert said == NOTHING and "NaN" not in data and json.loads(data)["repainted"] == 0
    *_, masks, _, data, _ = heat(model, singles, latent)
    assert not masks.any() and "NaN" not in data and json.loads(data)["repainted"] == [0.0]


# ---- Word Ablation


def test_word_ablation_is_of_what_is_repainted(model, singles):
    """A word's number against Encoder Influence's own velocities, on the repainted half."""
    clip, t5 = singles
    latent = LATENTS["half"]
    _, said, data = WordAblation.execute(
        model, clip, t5, "at night", "a red circle", latent, 3.5, SEED, STEPS, "euler", "simple", "1", "night"
    ).result
    data = json.loads(data)
    txt, (night, dark) = (
        T5Encode.execute(t5, "a red circle")[0],
        (ClipEncode.execute(clip, text)[0] for text in ("at night", "at")),
    )
    velocities = []

    def ask(executor, model, conds, x, timestep, options):
        out = executor(model, conds, x, timestep, options)
        entry = conds[0][0]
        y = entry["model_conds"]["y"]
        other = {**entry, "model_conds": {**entry["model_conds"], "y": type(y)(dark.spans[0].tensor)}}
        velocities.append(
            [(x - each) / timestep[0] for each in (out[0], executor(model, [[other]], x, timestep, options)[0])]
        )
        return out

    watched = model.clone()
    watched.add_wrapper_with_key("calc_cond_batch", "by hand", ask)
    sampled(watched, join(night, txt, 3.5), latent)
    v, without = (each[..., SIDE // 2 :] for each in velocities[0])
    found, expected = data["words"][0]["encoded again"][0], float((v - without).norm() / v.norm())
    assert found == pytest.approx(expected, rel=1e-3)
    diluted = float((velocities[0][0] - velocities[0][1]).norm() / velocities[0][0].norm())
    assert abs(diluted / expected - 1) > 1e-2, "what is kept must matter for this to mean anything"
    assert data["repainted"] == [0.5] and told([0.5]) in said


# ---- Switch Sweep and Prompt Grid


def swept(model, latent: dict, b=None, **options):
    return SwitchSweep.execute(
        model,
        join(VEC, TXT, 3.5),
        b or join(vec(6), txt(7), 3.5),
        "both",
        latent,
        SEED,
        STEPS,
        "euler",
        "simple",
        **options,
    ).result


def test_a_sweep_of_a_small_part_is_not_called_the_same_picture(model):
    """Two prompts that differ in a single place: against all of a picture that may be rounding, there it is not."""
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, 3, 4] = 1
    latent = {"samples": 30_000 * ONE, "noise_mask": mask}
    _, out, _, data, said = swept(model, latent)
    data, samples = json.loads(data), out["samples"].double()
    here = samples[:, :, 3, 4]
    b, a = here[0], here[-1]
    assert (b - a).norm() < 1e-5 * samples[0].norm(), "as it was counted, the two were the same"
    expected = ((here - a) @ (b - a) / (b - a).norm() ** 2).tolist()
    assert [run["latents"]["way"] for run in data["runs"]] == pytest.approx(expected, abs=1e-4)
    assert data["repainted"] == pytest.approx(1 / SIDE**2) and told([1 / SIDE**2]) in said
    assert said.startswith("The picture is decided at step")


def test_a_sweeps_pixels_are_those_repainted(model, vae):
    """The VAE carries a change over the mask's edge; there it does not count."""
    _, out, _, data, _ = swept(model, LATENTS["half"], vae=vae)
    pixels = vae.decode(out["samples"]).double()[:, :, pixels_from(vae) :]
    flat = pixels.flatten(1)
    b, a = flat[0], flat[-1]
    expected = ((flat - a) @ (b - a) / (b - a).norm() ** 2).tolist()
    assert [run["pixels"]["way"] for run in json.loads(data)["runs"]] == pytest.approx(expected, abs=1e-5)


def pixels_from(vae) -> int:
    return SIDE // 2 * vae.spacial_compression_decode()


def drawn(model, singles, vae, latent: dict):
    return PromptGrid.execute(
        model,
        *singles,
        vae,
        "at night\non paper",
        "a star\na heart",
        latent,
        SEED,
        3,
        2,
        "euler",
        "simple",
        3.5,
        resume=False,
    ).result


def test_a_grids_variance_is_of_what_is_repainted(model, singles, vae):
    """As of the right half of the cells by themselves, in latents and in pixels."""
    _, latents, _, data, said = drawn(model, singles, vae, LATENTS["half"])
    data, samples = json.loads(data), latents["samples"]
    pixels = vae.decode(samples)[:, :, pixels_from(vae) :]
    for name, right in (("latents", samples[..., SIDE // 2 :]), ("pixels", pixels)):
        expected = analyse(right.unflatten(0, (3, 2, 2)))
        for part in PARTS:
            assert data[name]["shares"][part] == pytest.approx(expected.shares[part], rel=1e-4, abs=1e-6)
            assert data[name]["components"][part] == pytest.approx(expected.components[part], rel=1e-4, abs=1e-9)
    assert data["repainted"] == 0.5 and told([0.5]) in said


# ---- Token Heatmap

WORDS = ["red", "circle"]


def heat(model, singles, latent: dict, **options):
    """(the picture, the reading, masks [B, words, H, W] and what else Show Heatmap gives)."""
    clip, t5 = singles
    txt = T5Encode.execute(t5, "a red circle at night")[0]
    positive = join(ClipEncode.execute(clip, "on paper")[0], txt, 3.5)
    ready, probe = Heatmap.execute(model, txt, ",".join(WORDS)).result
    out = sampled(ready, positive, latent)
    assert torch.equal(out["samples"], sampled(model, positive, latent)["samples"])
    picture, masks, names, data, one = ShowHeatmap.execute(probe, out, **options).result
    return picture, probe.reading(out), masks.unflatten(0, (-1, len(WORDS))), names, data, one


@pytest.mark.parametrize("kind", LATENTS)
def test_a_words_share_is_of_the_repainted_places(model, singles, kind):
    """Of the very maps, which are kept whole."""
    _, reading, _, _, data, _ = heat(model, singles, LATENTS[kind])
    mask = native.masks_in_use(model, join(VEC, TXT, 3.5), LATENTS[kind], torch.tensor([1.0, 0.0]))[0][:, 0]
    tokens = torch.nn.functional.avg_pool2d(mask[:, None], 2).flatten(1)  # [B, image]
    weights = tokens / tokens.sum(1, keepdim=True)
    maps = reading.maps.mean((0, 1))  # [B, words, image]
    expected = (maps * weights[:, None]).sum(-1)
    told = json.loads(data)
    for picture, each in enumerate(told["pictures"]):
        assert [each["shares"][word] for word in WORDS] == pytest.approx(expected[picture].tolist(), rel=1e-4)
    assert (maps[0] > 0).all() and told["repainted"] == pytest.approx(tokens.mean(1).tolist())
    plain = maps.mean((0, 2))
    assert (expected.mean(0) / plain - 1).abs().max() > 1e-4, "what is kept must matter for this to mean anything"


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_a_words_mask_is_of_the_repainted_places(model, singles, how):
    _, reading, masks, *_ = heat(model, singles, LATENTS["half"], masks=how)
    height, width = reading.size
    right = reading.maps.mean((0, 1))[0].unflatten(-1, reading.size)[..., width // 2 :].flatten(1)
    # What a token has of the mask, at its middle: 16 x 16 pixels each.
    given = masks[0, ..., masks.shape[-1] // 2 :].unflatten(1, (height, 16)).unflatten(3, (-1, 16))
    given = given.mean((2, 4)).flatten(1)
    assert not masks[..., : masks.shape[-1] // 2].any()
    for own, values in zip(right, given, strict=True):
        if how == "hard":
            assert set(values.tolist()) == {0.0, 1.0} and own[values == 1].min() > own[values == 0].max()
            assert torch.equal(values.bool(), otsu(masks_of(own[None, None]))[0, 0])
        else:
            assert values.argmax() == own.argmax() and values.argmin() == own.argmin()
