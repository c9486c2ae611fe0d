"""Switch Sweep in the real model: each picture equals that of a schedule with this switch."""

import json

import pytest
import torch

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.condition.time.nodes import Schedule
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy.inputs import randn, relative
from flux_duet.tests.comfy.sweep.runs import LATENT, SEED, STEPS, STREAMS, VECS, counting, sampled, swept, txt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def scheduled(txts, switch: str, step: int) -> list:
    """Prompt Schedule's CONDITIONING for a switch before this step."""
    if step == STEPS:
        return join(VECS[0], txts[0], 3.5)
    turns = {stream: switch in (stream, "both") for stream in ("CLIP", "T5")}
    if step == 0:
        return join(VECS[turns["CLIP"]], txts[turns["T5"]], 3.5)
    vecs = {f"vec{n + 1}": VECS[n] for n in range(2 if turns["CLIP"] else 1)}
    named = {f"txt{n + 1}": txts[n] for n in range(2 if turns["T5"] else 1)}
    timelines = [f"1\n@{step} 2" if turns[stream] else "1" for stream in ("CLIP", "T5")]
    return Schedule.execute(vecs, named, *timelines)[0]


@pytest.mark.parametrize("switch", ["T5", "CLIP", "both"])
@pytest.mark.parametrize("kind", STREAMS)
def test_every_picture_is_the_schedules(model, switch, kind):
    txts = STREAMS[kind]
    a, b = (join(v, t, 3.5) for v, t in zip(VECS, txts, strict=True))
    samples = swept(model, a, b, switch)[1]["samples"]
    assert len(samples) == STEPS + 1
    for step in range(STEPS + 1):
        expected = sampled(model, scheduled(txts, switch, step))
        assert relative(samples[step : step + 1], expected) < 2e-6, f"switched at {step}"
    assert relative(samples[:1], samples[-1:]) > 1e-4, "the two prompts must differ for this to mean anything"


def test_timelines_and_ranges_inside_the_prompts_see_the_whole_run(model):
    """B has its own timeline: its step 4 is the run's step 4, not counted from the switch."""
    fading = Schedule.execute({"vec1": VECS[1]}, {"txt1": txt(5, 13), "txt2": txt(6, 9)}, "1", "1\n@2..4 2")[0]
    a = join(VECS[0], txt(4, 9), 3.5)
    samples = swept(model, a, fading, "both")[1]["samples"]
    assert relative(samples[:1], sampled(model, fading)) < 2e-6
    part = MMDiTSampler.execute(
        model,
        a,
        LATENT,
        None,
        seed=SEED,
        steps=STEPS,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
        end_step=3,
        leftover_noise=True,
    )[0]
    rest = MMDiTSampler.execute(
        model,
        fading,
        part,
        None,
        seed=SEED,
        steps=STEPS,
        sampler="euler",
        scheduler="simple",
        denoise=1.0,
        start_step=3,
        add_noise=False,
    )[0]["samples"]
    assert relative(samples[3:4], rest) < 2e-6


@pytest.mark.parametrize("scheduler", ["official", "beta"])
def test_other_schedules_and_a_mask(model, scheduler):
    txts = STREAMS["unequal lengths"]
    a, b = (join(VECS[0], t, 3.5) for t in txts)
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:] = 1
    latent = {"samples": randn(9, 1, 16, 8, 8), "noise_mask": mask}
    samples = swept(model, a, b, scheduler=scheduler, latent=latent, batch=3)[1]["samples"]
    for step in (0, 2, STEPS):
        expected = sampled(model, scheduled(txts, "T5", step), scheduler=scheduler, latent=latent)
        assert relative(samples[step : step + 1], expected) < 2e-6


@pytest.mark.parametrize("every, batch", [(1, 1), (1, 4), (1, 64), (2, 4), (4, 3)])
def test_shared_beginnings_are_computed_once(model, every, batch):
    watched, rows = counting(model)
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["unequal lengths"])
    _, latents, _, data, _ = swept(watched, a, b, every=every, batch=batch)
    expected = STEPS + sum(STEPS - k for k in range(0, STEPS, every))
    if every == 1:
        assert expected == STEPS + STEPS * (STEPS + 1) // 2 < STEPS * (STEPS + 1)
    assert sum(rows) == expected == json.loads(data)["rows_evaluated"]["all"]
    assert max(rows) <= batch
    switches = [run["switch_at"] for run in json.loads(data)["runs"]]
    assert switches == [*range(0, STEPS, every), STEPS] and len(latents["samples"]) == len(switches)


def test_evaluations_for_twenty_steps(model):
    watched, rows = counting(model)
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["plain"])
    swept(watched, a, b, steps=20, batch=16)
    assert sum(rows) == 20 + 210


def test_what_comes_out(model, vae):
    a, b = (join(VECS[0], t, 3.5) for t in STREAMS["unequal lengths"])
    for options in ({"vae": vae}, {}):
        strip, latents, curve, data, sentence = swept(model, a, b, **options)
        for image in (strip, curve):
            assert image.ndim == 4 and image.shape[-1] == 3 and 0 <= image.min() and image.max() <= 1
        data = json.loads(data)
        assert set(data["decided"]) == ({"latents", "pixels"} if options else {"latents"})
        step = data["decided"]["latents"]["step"]
        assert f"decided at step {step:.1f} of 6 (sigma" in sentence and "a later switch to B's T5 prompt" in sentence
        assert "noise_mask" not in latents
        ends = [data["runs"][0]["latents"], data["runs"][-1]["latents"]]
        assert ends[0] == {"to_a": pytest.approx(1), "to_b": 0, "way": pytest.approx(1)}
        assert ends[1] == {"to_a": 0, "to_b": pytest.approx(1), "way": 0}


def test_one_prompt_twice_has_no_decision(model):
    a = join(VECS[0], STREAMS["plain"][0], 3.5)
    *_, data, sentence = swept(model, a, a)
    assert "the same picture" in sentence and json.loads(data)["decided"] == {"latents": None}
