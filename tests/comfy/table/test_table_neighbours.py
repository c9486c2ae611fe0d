"""The modulation table beside every control, every native node of the matrix and every probe: equal to the last bit."""

from dataclasses import replace

import pytest
import torch

from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.grid.nodes import PromptGrid
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence, ShowInfluence
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.sample.nodes import ModulationTable
from flux_duet.nodes.sample.table import report
from flux_duet.tests.comfy.inputs import txt, vec
from flux_duet.tests.comfy.matrix import outcomes
from flux_duet.tests.comfy.matrix.controls import CONTROLS
from flux_duet.tests.comfy.matrix.graph import CLIP_B, LATENT, SEED, STEPS, B, Graph, ours, prompt
from flux_duet.tests.comfy.matrix.runs import NEIGHBOURS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

OUTCOMES = outcomes.table(outcomes.CONTROLS)
HOOKED = {"Combine, both controlled", "hook LoRA", "hook LoRA, keyframes"}


def tabled(graph: Graph) -> Graph:
    return replace(graph, model=ModulationTable.execute(graph.model)[0])


@pytest.mark.parametrize("column", [None, "several", "steps"])
@pytest.mark.parametrize("row", NEIGHBOURS)
def test_neighbours(flux, world, reports, row, column):
    if column and OUTCOMES[row][column] == outcomes.REFUSES:
        pytest.skip("refused without a table too")
    positive = CONTROLS[column]().made if column else prompt()
    graph = NEIGHBOURS[row].place(world, Graph(flux, positive, positive))
    expected = ours(graph)
    assert torch.equal(ours(tabled(graph)), expected)
    assert reports and all(each.own.keys() <= {report.HOOKS, report.MOVING, report.OTHERS} for each in reports)
    assert any(each.served for each in reports) == (row not in HOOKED)


@pytest.mark.parametrize("column", CONTROLS)
def test_controls(flux, world, reports, column):
    control = CONTROLS[column]()
    graph = Graph(flux, control.made, control.base)
    assert torch.equal(ours(tabled(graph)), ours(graph))
    # A fade is a new prompt at every step.
    assert reports[0].served == (1 if column == "fade" else reports[0].served) > 0


PROBES = ["mass", "flow", "output", "influence"]


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("first", [True, False])
def test_probes(flux, singles, kind, first):
    """On either side of the node: the picture and the reading are the same."""
    text = T5Encode.execute(singles[1], "a red circle at night")[0]

    def read(given: bool) -> tuple:
        graph = Graph(flux, prompt(text), prompt(text))
        graph = tabled(graph) if given and first else graph
        if kind == "influence":
            model, probe = Influence.execute(graph.model, EMPTY, 1, vec(11), txt(12, 9), txt=text).result
        else:
            model, probe = Heatmap.execute(graph.model, text, "red, circle", kind).result
        graph = replace(graph, model=model)
        out = ours(tabled(graph) if given and not first else graph)
        show = ShowInfluence if kind == "influence" else ShowHeatmap
        return out, show.execute(probe, {"samples": out}).result

    (plain, shown), (picture, again) = read(False), read(True)
    assert torch.equal(plain, picture)
    for one, other in zip(shown, again, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


SAMPLED = {
    "ablation": lambda model, clip, t5, vae: WordAblation.execute(
        model, clip, t5, "at night", "a red circle", LATENT, 3.5, SEED, STEPS, "euler", "simple", "1", "red"),
    "sweep": lambda model, clip, t5, vae: SwitchSweep.execute(
        model, prompt(), prompt(B, CLIP_B), "both", LATENT, SEED, STEPS, "euler", "simple"),
    "grid": lambda model, clip, t5, vae: PromptGrid.execute(
        model, clip, t5, vae, "night\nsnow", "a star", LATENT, SEED, 1, STEPS, "euler", "simple", 3.5,
        resume=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLED)
def test_probes_that_sample_by_themselves(flux, singles, vae, reports, kind):
    """A batch of prompts or pictures is a batch of the table's rows."""
    results = [SAMPLED[kind](model, *singles, vae).result for model in (flux, ModulationTable.execute(flux)[0])]
    for one, other in zip(*results, strict=True):
        if isinstance(one, dict):
            assert torch.equal(one["samples"], other["samples"])
        else:
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    assert sum(each.served for each in reports) > 0
