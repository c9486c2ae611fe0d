"""Show Heatmap: finding words, and the pictures, masks and numbers from their maps."""

import pytest
import torch

from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.heat.reading import GROUPS, Choice, masks, masses, otsu
from flux_duet.tests.comfy.heatmap.runs import BLOCKS, STEPS, dense, prompt, sampled, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


def test_show_heatmap(model, streams, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ready, probe = Heatmap.execute(model, streams["txt"]).result
    latent = sampled(ready, prompt(streams))
    out = ShowHeatmap.execute(probe, latent, torch.rand(1, 80, 48, 3), save_as="maps/mine")
    picture, found, words, metadata, first = out.result
    assert words.split("\n") == ["a", "red", "circle", "and", "redder", "ring", "at", "night"]
    assert found.shape == (8, 80, 48) and found.min() == 0 and found.max() == 1
    assert torch.equal(first, found[:1])
    assert picture.ndim == 4 and '"pads"' in metadata
    from safetensors.torch import load_file

    assert load_file(tmp_path / "maps" / "mine.safetensors")["maps"].shape == (STEPS, BLOCKS, 1, 8, 15)
    for outside in ("../mine", "maps/../../mine", str(tmp_path.parent / "mine"), "mi\0ne"):
        with pytest.raises(ValueError, match="is outside the output folder"):
            ShowHeatmap.execute(probe, latent, save_as=outside)
    hard = ShowHeatmap.execute(probe, latent, masks="hard")[1]
    assert hard.shape == (8, 80, 48) and set(hard.unique().tolist()) == {0.0, 1.0}


def test_shares_of_all_there_is_add_up(model, streams):
    reading, _ = watched(model, streams["txt"], prompt(streams))
    shares = masses(reading, Choice())
    assert list(shares)[-5:] == list(GROUPS) and 0.5 < shares["pads"] < 1 and shares["other texts"] == 0
    everything = dense(model, prompt(streams), {"text": list(range(256))})
    parts = sum(shares.values()) - shares["all text"]
    assert shares["all text"] == pytest.approx(everything.mean().item(), abs=1e-5) == pytest.approx(parts, abs=1e-5)


def test_words_may_overlap(model, streams):
    reading, _ = watched(model, streams["txt"], prompt(streams), "red, red circle, circle")
    red, both, circle = reading.maps.float().unbind(3)
    assert torch.allclose(both, red + circle, atol=1e-3)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"blocks": "none"}, "no block is chosen"),
        ({"first_step": 9}, "no step is"),
        ({"blocks": "18"}, "names block 18, but this model has blocks 0 to 4"),
    ],
)
def test_a_choice_of_nothing_is_reported(model, streams, options, words):
    ready, probe = Heatmap.execute(model, streams["txt"], "red").result
    latent = sampled(ready, prompt(streams))
    with pytest.raises(ValueError, match=words):
        ShowHeatmap.execute(probe, latent, **options)


def test_words_that_are_not_there_are_reported(model, streams):
    with pytest.raises(ValueError, match="no word 'blue'. The prompt is: a red circle"):
        Heatmap.execute(model, streams["txt"], "red, blue")
    with pytest.raises(ValueError, match="no word 'edde'"):
        Heatmap.execute(model, streams["txt"], "edde")


@pytest.mark.parametrize(
    "text", ["a red circle", "a (red:1.3) circle", "a ((red) circle:0.7)", "a  red\n circle", "A Red CIRCLE"]
)
def test_words_are_found_as_they_read(singles, text):
    """However the words are written, the same tokens' rows are found."""
    from flux_duet.nodes.probe.heat.tokens import wanted

    txt = T5Encode.execute(singles[1], text)[0]
    ids = [token for chunk in txt.source.tokens for token, _ in chunk]
    found = wanted(txt, "red circle, circle")
    spelled = T5Encode.execute(singles[1], "red circle" if "A R" not in text else "Red CIRCLE")[0]
    expected = [token for chunk in spelled.source.tokens for token, _ in chunk]
    expected = expected[: expected.index(1)]
    assert [ids[row] for row in found.rows(0).tolist()] == expected
    assert set(found.rows(1).tolist()) < set(found.rows(0).tolist())


@pytest.mark.parametrize(
    "text, word",
    [
        (r"a \(red\) circle", "(red) circle"),
        ("un cafe\u0301 noir", "caf\u00e9"),
        ("un caf\u00e9 noir", "cafe\u0301 noir"),
    ],
)
def test_escapes_and_accents_are_as_they_read(singles, text, word):
    from flux_duet.nodes.probe.heat.tokens import wanted

    txt = T5Encode.execute(singles[1], text)[0]
    rows = wanted(txt, word).rows(0)
    assert 1 <= len(rows) < 12 and wanted(txt, "").words


def test_otsu_parts_two_levels():
    found = torch.tensor([[0.1, 0.2, 0.15], [0.8, 0.9, 0.12]])
    assert otsu(found).tolist() == [[False, False, False], [True, True, False]]
    assert torch.equal(masks(torch.tensor([[[2.0, 4.0]]])), torch.tensor([[[0.0, 1.0]]]))
