"""POST /flux_duet/sigmas returns a run's noise levels, as in the samplers, and refuses all other requests."""

import pytest

from flux_duet.tests.server import asking

URL = "/flux_duet/sigmas"


def ask(server, body, kind="application/json") -> tuple[int, dict]:
    return asking.ask(server, URL, body, kind)


def sigmas(server, **plan) -> list[float]:
    status, answer = ask(server, plan)
    assert status == 200, answer
    return answer["sigmas"]


def shifted(times, shift):
    from math import exp

    return [exp(shift) / (exp(shift) + 1 / time - 1) if time else 0.0 for time in times]


def test_schedules(comfy_server):
    even = [1 - step / 20 for step in range(21)]
    assert sigmas(comfy_server) == pytest.approx(shifted(even, 1.15), abs=1e-4)
    assert sigmas(comfy_server, shift=0.5) == pytest.approx(shifted(even, 0.5), abs=1e-4)
    assert sigmas(comfy_server, shift=None) == pytest.approx(even, abs=1e-3)
    assert sigmas(comfy_server, denoise=0.5) == pytest.approx(shifted([time / 2 for time in even], 1.15), abs=1e-4)
    official = {"scheduler": "official", "width": 512, "height": 512}
    small = 0.5 + (1024 - 256) * 0.65 / 3840
    assert sigmas(comfy_server, **official) == pytest.approx(shifted(even, small), abs=1e-5)
    assert sigmas(comfy_server, **official, mu=2) == pytest.approx(shifted(even, 2), abs=1e-5)
    assert sigmas(comfy_server, **official, shift=None) == pytest.approx(even, abs=1e-6)


def test_every_scheduler_has_its_steps_and_falls(comfy_server):
    described = comfy_server.get("/object_info/FluxDuetSampler")["FluxDuetSampler"]["input"]["required"]
    for scheduler in described["scheduler"][1]["options"]:
        found = sigmas(comfy_server, scheduler=scheduler, steps=12)
        # As in the sampler: some schedulers drop or double a level where the model's steps are coarser.
        assert 2 <= len(found) <= 14 and found[-1] == 0, scheduler
        assert all(one >= other for one, other in zip(found, found[1:], strict=False)), scheduler
    assert len(sigmas(comfy_server, sampler="dpm_2", steps=12)) == 13


@pytest.mark.parametrize("wrong, named", [
    ({"steps": 0}, "steps"), ({"steps": 2.5}, "steps"), ({"steps": True}, "steps"), ({"denoise": 0}, "denoise"),
    ({"denoise": float("nan")}, "denoise"), ({"scheduler": "none"}, "scheduler"), ({"sampler": []}, "sampler"),
    ({"shift": "1"}, "shift"), ({"width": None}, "width"), ({"model": "dev"}, "model"),
    ({"steps": 2000, "denoise": 0.1}, "schedule"), ([], "object")])  # fmt: skip
def test_anything_else_is_refused_in_words(comfy_server, wrong, named):
    status, answer = ask(comfy_server, wrong)
    assert status == 400 and named in answer["error"]


def test_only_json_is_read(comfy_server):
    assert ask(comfy_server, b"{}", kind="text/plain")[0] == 415
    assert ask(comfy_server, b"{")[0] == 400
