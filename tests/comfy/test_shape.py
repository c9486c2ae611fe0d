"""Show Shape describes values of the real classes, and returns the same object."""

import comfy.samplers
import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider

from flux_duet.nodes.condition.controls import TITLES, Nag
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import NegativeTxt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.shape.describing import described
from flux_duet.nodes.probe.shape.nodes import ShowShape

pytestmark = pytest.mark.usefixtures("as_executed")


@pytest.fixture(scope="module")
def streams(singles):
    with torch.inference_mode():
        return ClipEncode.execute(singles[0], "a ring")[0], T5Encode.execute(singles[1], "a ring")[0]


def test_streams_and_conditioning(streams):
    vec, txt = streams
    assert described(vec) == "vec [1, 64]: one vector for the whole prompt"
    assert described(txt) == "txt [1, 256, 64]: one embedding for each token"
    assert described(DualPrompt.execute(vec, txt, 3.5)[0]) == "txt [1, 256, 64], vec [1, 64], guidance 3.5"
    assert described(DualPrompt.execute(vec, txt, -1)[0]) == "txt [1, 256, 64], vec [1, 64]"


def test_controls_are_named(streams):
    steered = NegativeTxt.execute(streams[1], streams[1], 4.0, 2.5, 0.25)[0]
    assert described(steered) == f"txt [1, 256, 64]: one embedding for each token; controls: {TITLES[Nag]}"


def test_models(tiny, dual, singles):
    model = comfy.sd.load_diffusion_model(str(tiny["flux"]))
    text = described(model)
    assert text == ("2 double and 3 single blocks, width 128, 1 head, with guidance_in; "
                    "reads vec of width 64 and txt of width 64")  # fmt: skip
    guider = BasicGuider.execute(model, [[torch.zeros(1, 256, 64), {"pooled_output": torch.zeros(1, 64)}]])[0]
    assert isinstance(guider, comfy.samplers.CFGGuider) and text in described(guider)
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))
    assert [described(each) for each in (dual, *singles)] == [
        "text encoders: CLIP-L and T5",
        "text encoders: CLIP-L",
        "text encoders: T5",
    ]
    assert described(vae) == "autoencoder: 16 channels, a latent's side is 1/8"


@pytest.mark.parametrize("value, expected", [
    ({"samples": torch.zeros(2, 16, 128, 96)}, "[2, 16, 128, 96]: 16 channels, 1/8 of the picture's sides; "
                                               "img: 3072 tokens, one for each 2 x 2 of it"),
    ({"samples": torch.zeros(1, 16, 8, 8), "noise_mask": torch.cat([torch.ones(1, 64, 16), torch.zeros(1, 64, 48)], 2)},
     "[1, 16, 8, 8]: 16 channels, 1/8 of the picture's sides; img: 16 tokens, one for each 2 x 2 of it; "
     "noise_mask: 25 % is repainted"),
    (torch.linspace(1, 0, 21), "20 steps, sigma 1, 0.95, 0.9, 0.85, 0.8, 0.75 ... 0"),
    (torch.zeros(3, 40, 60, 3), "[3, 40, 60, 3]: 3 of 60 x 40 pixels"), (torch.zeros(1, 40, 60), "[1, 40, 60]"),
    ("ring", "'ring'"), (3, "3"), (object(), "of type object"), (None, "of type NoneType"), ([], "0 values"),
    ({}, "keys: "),
])  # fmt: skip
def test_values(value, expected):
    assert described(value) == expected


def test_what_comes_in_goes_out(streams):
    result = ShowShape.execute(streams[0]).result
    assert result[0] is streams[0] and result[1] == described(streams[0])
