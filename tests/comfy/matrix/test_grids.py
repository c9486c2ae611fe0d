"""Prompt Grid and Word Ablation, which encode their own prompts, with the extras of `like`, models and latents."""

import json
from dataclasses import replace

import pytest
import torch

from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.streams import Span, T5Text
from flux_duet.tests.comfy.matrix import outcomes
from flux_duet.tests.comfy.matrix.graph import SEED, STEPS, Graph, natively, relative
from flux_duet.tests.comfy.matrix.probes import seen_by, taken, velocities
from flux_duet.tests.comfy.matrix.runs import NEIGHBOURS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TABLE = outcomes.table(outcomes.GRIDS)
CLIP_TEXT, T5_TEXT, ROW = "at night", "a red circle", [2]  # the row of "red"
PLAN = (SEED, STEPS, "euler", "simple")


def test_every_pair_is_declared():
    assert list(TABLE) == list(NEIGHBOURS)
    assert all(list(row) == ["grid", "words"] for row in TABLE.values())


@pytest.fixture(scope="module")
def streams(singles):
    with torch.inference_mode():
        clip, t5 = singles
        return ClipEncode.execute(clip, CLIP_TEXT)[0], T5Encode.execute(t5, T5_TEXT)[0]


def placed(flux, world, row: str, clip, text) -> Graph:
    """A user's graph of one prompt, sampled by MMDiT Sampler without a negative."""
    positive = DualPrompt.execute(clip, text, 3.5)[0]
    graph = NEIGHBOURS[row].place(world, Graph(flux, positive, positive))
    return replace(graph, negative=None, cfg=1.0, guider=None, native=None, sampler=None)


@pytest.mark.parametrize("row", [row for row, cells in TABLE.items() if cells["grid"] != outcomes.APART])
def test_a_cell_of_a_grid_is_the_users_run(flux, world, singles, streams, row, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    graph = placed(flux, world, row, *streams)
    args = graph.model, *singles, world.vae, CLIP_TEXT, T5_TEXT, graph.latent, SEED, 1, *PLAN[1:], 3.5
    if TABLE[row]["grid"] == outcomes.REFUSES:
        with pytest.raises(ValueError, match="2 pictures"):
            PromptGrid.execute(*args, resume=False, like=graph.positive)
        return
    cell = PromptGrid.execute(*args, resume=False, like=graph.positive)[1]["samples"]
    assert relative(cell, natively(graph)) < 5e-6


@pytest.mark.parametrize("row", [row for row, cells in TABLE.items() if cells["words"] != outcomes.APART])
def test_a_word_of_the_users_run(flux, world, singles, streams, row, tmp_path, monkeypatch):
    """With the word's rows deleted: the change of the velocity on the run's own x_t, by native runs."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    clip, text = streams
    graph = placed(flux, world, row, clip, text)
    data = json.loads(
        WordAblation.execute(
            graph.model,
            *singles,
            CLIP_TEXT,
            T5_TEXT,
            graph.latent,
            3.5,
            *PLAN,
            at="1, 0.8, 0.5",
            words="red",
            like=graph.positive,
        )[2]
    )
    (span,) = text.spans
    kept = [place for place in range(span.tensor.shape[1]) if place not in ROW]
    without = placed(flux, world, row, clip, T5Text((Span(span.tensor[:, kept], span.extras),)))
    if NEIGHBOURS[row].caches:  # a cache would skip the reference's evaluations
        without, plain = replace(without, model=flux), replace(graph, model=flux)
    else:
        plain = graph
    seen = seen_by(graph)
    first = plain if NEIGHBOURS[row].keeps else None
    whole, less = (taken(graph, seen, velocities(each, seen, first)) for each in (plain, without))
    (word,) = data["words"]
    for step, change in zip(data["steps"], word["rows deleted"], strict=True):
        assert change == pytest.approx(float((whole[step] - less[step]).norm() / whole[step].norm()), rel=1e-3), step
