"""The measure through T5: the rows' maps, mixed by how much of each row is due to each word."""

import pytest
import torch

from flux_duet.nodes.condition.blend.blending import blend_txt
from flux_duet.nodes.encode.tokens.lengths import T5_PAD
from flux_duet.nodes.probe.heat.reading import Choice, masses
from flux_duet.nodes.probe.heat.through_t5 import encoded
from flux_duet.nodes.probe.heat.through_t5.shares import disjoint, shares
from flux_duet.tests.comfy.heatmap.runs import dense, prompt, rows_of, watched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

WORDS = ("red", "redder ring", "night")
UNITS = ("a", "red", "circle", "and", "redder", "ring", "at", "night")  # "a" is there twice


def by_word(txt) -> list[list[int]]:
    """The rows of each word of runs.TEXT, of both "a" one after the other."""
    found = rows_of(txt, UNITS)
    twice = found.pop("a")
    half = len(twice) // 2
    return [twice[:half], *(found[each] for each in ("red", "circle", "and")), twice[half:],
            *(found[each] for each in ("redder", "ring", "at", "night"))]  # fmt: skip


def expected_shares(t5, txt) -> torch.Tensor:
    """[rows, units], row by row: T5 runs once for each word, with pads in the word's place at the end."""
    ids = [token for chunk in txt.source.tokens for token, _ in chunk]
    rows, out = txt.spans[0].tensor[0], []
    for word in by_word(txt):
        left = [(token, 1.0) for row, token in enumerate(ids) if row not in word] + [(T5_PAD, 1.0)] * len(word)
        again = t5.encode_from_tokens_scheduled({"t5xxl": [left]})[0][0][0]
        kept = [row for row in range(len(ids)) if row not in word]
        place = {row: at for at, row in enumerate([*kept, *word])}
        out.append([float((rows[row] - again[place[row]]).square().sum()) for row in range(len(ids))])
    squares = torch.tensor(out).T
    return squares / squares.sum(1, keepdim=True)


def test_maps_are_the_rows_maps_mixed_by_word(model, singles, streams, monkeypatch):
    monkeypatch.setattr(encoded, "ROWS", 4 * 256)  # three words in one run of T5
    txt = streams["txt"]
    reading, latent = watched(model, txt, prompt(streams), ", ".join(WORDS), "through T5", heatmap={"clip": singles[1]})
    parts = expected_shares(singles[1], txt)
    assert torch.allclose(parts.sum(1), torch.ones(256), atol=1e-5), "each row is due to the words, as a whole"
    units = [{1}, {5, 6}, {8}]
    mixing = torch.stack([parts[:, sorted(each)].sum(1) for each in units], 1)  # [rows, words]
    assert mixing[by_word(txt)[1][0], 0] > 0.5, "a word has most of its own row"
    assert mixing[:, 0].min() > 1e-6 and mixing[:, 0].median() < 0.1, "and a part of all others, pads too"
    alone = dense(model, prompt(streams), {str(row): [row] for row in range(256)})  # [steps, blocks, rows, image]
    assert reading.words == WORDS
    assert (reading.maps[:, :, 0] - torch.einsum("sbri,rw->sbwi", alone, mixing)).abs().max() < 1e-5
    plain, same = watched(model, txt, prompt(streams), ", ".join(WORDS))
    assert torch.equal(latent["samples"], same["samples"])
    assert (reading.maps - plain.maps).abs().max() > 1e-4
    found, mass = masses(reading, Choice()), masses(plain, Choice())
    assert found["all text"] == pytest.approx(mass["all text"], abs=1e-6) and found["pads"] == mass["pads"]


def test_it_is_the_plain_map_of_a_t5_that_mixes_nothing(model, singles, streams, monkeypatch):
    table = torch.randn(40000, 8, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(
        encoded, "t5_together",
        lambda clip, chunks: torch.stack([table[[token for token, _ in chunk]] for chunk in chunks]),
    )  # fmt: skip
    txt, words = streams["txt"], "red, a, redder ring, and"
    reading, _ = watched(model, txt, prompt(streams), words, "through T5", heatmap={"clip": singles[1]})
    plain, _ = watched(model, txt, prompt(streams), words)
    assert torch.equal(reading.maps, plain.maps) and torch.equal(reading.groups, plain.groups)


def test_t5_runs_once_for_a_prompt(model, singles, streams, monkeypatch):
    """What was computed is kept in the embedding store, whichever words are chosen later."""
    runs, own = [], encoded.t5_together
    monkeypatch.setattr(encoded, "t5_together", lambda clip, chunks: runs.append(len(chunks)) or own(clip, chunks))
    txt, given = streams["weighted"], {"clip": singles[1], "every": 3}
    found = [watched(model, txt, prompt(streams, "weighted"), words, "through T5", heatmap=given)[0]
             for words in ("red", "red", "circle, ring")]  # fmt: skip
    assert runs == [8, 3], "nine words, beside the prompt itself"
    assert torch.equal(found[0].maps, found[1].maps) and found[2].words == ("circle", "ring")


def test_shares():
    changed = torch.tensor([[3.0, 4.0], [0.0, 1e-5], [0.0, 2.0]])
    assert shares(changed).tolist() == [[pytest.approx(0.36), pytest.approx(0.64)], [0, 0], [0, 1]]
    assert disjoint([{1, 2}, {4}, {2, 3}, set()]) == [[1, 2, 3], [4]]


def test_what_cannot_be_measured_is_reported(model, singles, streams):
    def watch(txt, clip):
        return watched(model, txt, prompt(streams), "red", "through T5", heatmap={"clip": clip})

    with pytest.raises(ValueError, match="it needs T5. Connect the CLIP of T5 Encode to `clip`"):
        watch(streams["txt"], None)
    with pytest.raises(ValueError, match="has no T5"):
        watch(streams["txt"], singles[0])
    mixed = blend_txt("lerp", streams["txt"], {"other": streams["txt"]}, 0.5)
    with pytest.raises(ValueError, match="it needs one text: the output"):
        watch(mixed, singles[1])
