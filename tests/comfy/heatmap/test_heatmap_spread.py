"""Refined maps: spread from the peak over the likeness of the places, against whole matrices of the same run."""

import json

import pytest
import torch
from torch.nn.functional import cosine_similarity

from flux_duet.nodes.disk.temporary import temporary_folder
from flux_duet.nodes.probe.heat import stored
from flux_duet.nodes.probe.heat.memory import Planned, check_room
from flux_duet.nodes.probe.heat.nodes import ConceptHeatmap, Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import Choice, maps
from flux_duet.nodes.probe.heat.spread.recorder import blocks_of
from flux_duet.nodes.probe.heat.spread.spreading import Likeness, refined
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.heatmap.runs import HEIGHT, STEPS, WIDTH, prompt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TWO = {"samples": torch.zeros(2, 16, HEIGHT, WIDTH)}
TOKENS = HEIGHT * WIDTH // 4


def sampled(model, positive, negative=None, cfg=1.0, steps=STEPS):
    return sampling.sampled(model, positive, negative, cfg, latent=TWO, steps=steps)


def dense(model, positive) -> torch.Tensor:
    """[B, tokens, tokens]: the mean over steps of all cosines, pair by pair, in the last double block."""
    found, clone = [], model.clone()

    def keep(attn, options):
        if options["block_type"] == "double" and options["block_index"] == 1:
            image = attn[:, -TOKENS:]
            each = [cosine_similarity(image[:, at : at + 1], image, -1) for at in range(TOKENS)]
            found.append(torch.stack(each, 1))
        return attn

    clone.set_model_attn1_output_patch(keep)
    sampled(clone, positive)
    return torch.stack(found).mean(0)


def spread(found: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    """One map [tokens]: the formula, place by place."""
    peak, out = int(found.argmax()), torch.empty(TOKENS)
    for place in range(TOKENS):
        alike = [max(float(each), 0.0) for each in cosines[place]]
        out[place] = alike[peak] / sum(alike)
    return out


def test_maps_are_spread_as_by_a_dense_implementation(model, singles, streams, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ready, probe = Heatmap.execute(model, streams["txt"], "red, ring", likeness=True).result
    latent = sampled(ready, prompt(streams))
    assert torch.equal(latent["samples"], sampled(model, prompt(streams))["samples"])
    reading, cosines = probe.reading(latent), dense(model, prompt(streams))
    assert (reading.likeness.values.float() - cosines).abs().max() < 1e-3, "half precision"
    plain = maps(reading, Choice(first=1))
    found = refined(plain, reading.likeness)
    for picture in range(2):
        for word in range(2):
            expected = spread(plain[picture, word].flatten(), cosines[picture])
            assert torch.allclose(found[picture, word].flatten(), expected, rtol=0.01)
    alone = Heatmap.execute(model, streams["txt"], "red, ring").result
    assert torch.equal(reading.maps, alone[1].reading(sampled(alone[0], prompt(streams))).maps)
    given = ShowHeatmap.execute(probe, latent, refine="spread", first_step=1)
    masks = given.result[1]
    assert not torch.equal(masks, ShowHeatmap.execute(probe, latent, first_step=1).result[1])
    seen = stored.look(temporary_folder() / f"{reading.name}.safetensors", Choice(first=1), "spread")
    assert torch.allclose(seen.maps, found[0], rtol=1e-5)
    assert json.loads(given.result[3])["measure"] == "mass"


def test_beside_a_negative_and_with_every_measure(model, singles, streams):
    """The positive's likeness alone counts, whatever is measured."""
    both = prompt(streams), prompt(streams, "long")
    plain = Heatmap.execute(model, streams["txt"], "red", likeness=True).result
    expected = plain[1].reading(sampled(plain[0], both[0], steps=1)).likeness.values
    nodes = [
        Heatmap.execute(model, streams["txt"], "red", "causal", clip=singles[1], at="1", likeness=True),
        ConceptHeatmap.execute(model, singles[1], "dragon", likeness=True),
    ]
    for node in nodes:
        ready, probe = node.result
        latent = sampled(ready, *both, cfg=1.5, steps=1)
        assert torch.equal(latent["samples"], sampled(model, *both, cfg=1.5, steps=1)["samples"])
        assert (probe.reading(latent).likeness.values - expected).abs().max() < 2e-3


def test_the_peak_is_where_the_picture_is_repainted():
    found = torch.tensor([[[[0.9, 0.1], [0.2, 0.3]]]])
    likeness = Likeness.of(torch.eye(4)[None])
    assert refined(found, likeness).flatten().tolist() == [1, 0, 0, 0]
    assert refined(found, likeness, torch.tensor([[[False, True], [True, True]]])).flatten().tolist() == [0, 0, 0, 1]
    assert refined(found, likeness, torch.zeros(1, 2, 2, dtype=torch.bool)).flatten().tolist() == [1, 0, 0, 0]


def test_what_is_missing_is_reported(model, streams):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    latent = sampled(ready, prompt(streams), steps=1)
    with pytest.raises(ValueError, match="Switch on `record similarity`"):
        ShowHeatmap.execute(probe, latent, refine="spread")
    assert list(blocks_of(19)) == [14, 15, 16, 17] and list(blocks_of(2)) == [1]
    with pytest.raises(ValueError, match="the similarity of 4096 tokens.*switch `record similarity` off"):
        check_room(Planned(1, 1, 1, 1, 2, 4096, likeness=True), 2**27)
