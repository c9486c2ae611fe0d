"""Every reading's JSON has the settings to repeat it: guidance, sampler, size, the model, versions."""

import json

import comfy.sd
import comfy.utils
import comfyui_version
import pytest
import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.probe.grid.identity import of_model
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.influence.nodes import ZEROS, Influence, ShowInfluence
from flux_duet.nodes.probe.run_settings import guidance_of
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.tests.comfy.grid.models import lora, opaque

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT = {"samples": torch.zeros(1, 16, 8, 10)}
SEED, STEPS, GUIDANCE = 7, 2, 2.5
PLAN = SEED, STEPS, "euler", "simple"


@pytest.fixture
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def streams(singles):
    from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode

    return ClipEncode.execute(singles[0], "at night")[0], T5Encode.execute(singles[1], "a red circle")[0]


def sampled(model, positive) -> dict:
    return MMDiTSampler.execute(
        model, positive, LATENT, None, seed=SEED, steps=STEPS, sampler="euler", scheduler="simple", denoise=1.0
    )[0]


def heatmap(model, singles, vae):
    vec, txt = streams(singles)
    probed, probe = Heatmap.execute(model, txt, "red").result
    return ShowHeatmap.execute(probe, sampled(probed, DualPrompt.execute(vec, txt, GUIDANCE)[0]))[3]


def influence(model, singles, vae):
    probed, probe = Influence.execute(model, ZEROS).result
    return ShowInfluence.execute(probe, sampled(probed, DualPrompt.execute(*streams(singles), GUIDANCE)[0]))[6]


def sweep(model, singles, vae):
    vec, txt = streams(singles)
    a, b = DualPrompt.execute(vec, txt, GUIDANCE)[0], DualPrompt.execute(vec, streams(singles)[1], GUIDANCE)[0]
    return SwitchSweep.execute(model, a, b, "both", LATENT, *PLAN)[3]


def grid(model, singles, vae):
    return PromptGrid.execute(model, *singles, vae, "at night", "a star", LATENT, SEED, 1, *PLAN[1:], GUIDANCE)[3]


def words(model, singles, vae):
    return WordAblation.execute(model, *singles, "at night", "a red circle", LATENT, GUIDANCE, *PLAN, words="red")[2]


@pytest.mark.parametrize("probe", [heatmap, influence, sweep, grid, words])
def test_a_reading_says_what_it_is_repeated_by(model, tiny, singles, probe):
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))
    settings = json.loads(probe(model, singles, vae))["settings"]
    values = [settings[name] for name in ("guidance", "seed", "sampler", "cfg")]
    assert values == [GUIDANCE, SEED, "euler", 1.0]
    assert settings["latent"] == [1, 16, 8, 10]
    if "steps" in settings:
        assert settings["steps"] == STEPS and settings["scheduler"] == "simple"
    else:
        assert len(settings["sigmas"]) == 3
    assert settings["model"] == of_model(model) is not None
    assert settings["versions"]["comfyui"] == comfyui_version.__version__
    assert settings["versions"]["torch"] == torch.__version__ and settings["versions"]["flux_duet"][0].isdigit()


def test_another_lora_is_another_model_and_an_unknown_one_is_none(model, singles):
    plain, patched, unknown = (
        json.loads(influence(each, singles, None))["settings"]["model"]
        for each in (model, lora(model, 1.0), opaque(model, "a function"))
    )
    assert plain == of_model(model) != patched == of_model(lora(model, 1.0)) and unknown is None


def test_a_prompt_of_several_parts_has_a_guidance_for_each():
    assert guidance_of([]) is None and guidance_of([[None, {"guidance": 2}]]) == 2.0
    assert guidance_of([{"guidance": 2.0}, {"guidance": 3.0}, {}]) == [2.0, 3.0, None]
