"""Every control with every native neighbour: the picture equals the native graph's, or a reference run's."""

from dataclasses import replace

import pytest

from flux_duet.tests.comfy.matrix import outcomes
from flux_duet.tests.comfy.matrix.controls import CONTROLS
from flux_duet.tests.comfy.matrix.dense import overridden, withheld
from flux_duet.tests.comfy.matrix.graph import STEPS, Graph, chained, natively, ours, prompt, relative
from flux_duet.tests.comfy.matrix.runs import NEIGHBOURS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TABLE = outcomes.table(outcomes.CONTROLS)
NEAR = 5e-6  # float32 sums in another order
# What an error message must name, besides the control.
REFUSALS = {"Average (to)": "Conditioning Average"}


def test_every_pair_is_declared():
    assert list(TABLE) == list(NEIGHBOURS)
    assert all(list(row) == list(CONTROLS) for row in TABLE.values())


@pytest.fixture(scope="module")
def plain(flux, world):
    """The picture of a neighbour with the plain prompt, sampled once."""
    made = {}

    def of(row):
        if row not in made:
            made[row] = natively(NEIGHBOURS[row].place(world, Graph(flux, prompt(), prompt())))
        return made[row]

    return of


# What samples as KSampler does in one run.
SAME = {"alone", "BasicGuider", "MMDiT Sampler twice", "KSamplerAdvanced twice"}


@pytest.mark.parametrize("row", NEIGHBOURS)
def test_every_neighbour_acts(plain, row):
    """A neighbour without an effect would prove nothing."""
    picture, without = plain(row), plain("alone")
    changed = picture.shape != without.shape or relative(picture, without) > 1e-3
    assert changed == (row not in SAME)


def native_graphs(world, flux, neighbour, control) -> list[Graph]:
    """The native graphs, step by step; a single graph if it is one prompt."""
    played = [control.base] * STEPS if neighbour.rows_alone else control.played
    if control.in_ranges and neighbour.distinguishes:
        played = [control.made] * STEPS
    graphs = {}
    for each in played:
        base = each if control.in_ranges else control.base
        graphs.setdefault(id(each), neighbour.place(world, Graph(flux, each, base)))
    return [graphs[id(each)] for each in played]


def by_hand(world, flux, neighbour, control) -> Graph:
    """One native graph of the base prompt, with the control applied to its model by brute force."""
    graph = neighbour.place(world, Graph(flux, control.base, control.base))
    if control.guest is not None:
        return replace(graph, model=withheld(graph, control.guest))

    def truth(step):
        now = control.truth(step)
        return None if now is None else now.scaled(neighbour.scale)

    return replace(graph, model=overridden(graph, control.base[0][0].shape[1], truth))


@pytest.mark.parametrize("column", CONTROLS)
@pytest.mark.parametrize("row", NEIGHBOURS)
def test_cell(flux, world, plain, row, column):
    neighbour, control, outcome = NEIGHBOURS[row], CONTROLS[column](), TABLE[row][column]
    graph = neighbour.place(world, Graph(flux, control.made, control.made))
    if outcome == outcomes.REFUSES:
        assert_refused(graph, REFUSALS[row])
        return
    if outcome == outcomes.EQUAL:
        graphs = native_graphs(world, flux, neighbour, control)
        expected = natively(graphs[0]) if len(set(map(id, graphs))) == 1 else chained(graphs)
    else:
        expected = natively(by_hand(world, flux, neighbour, control))
    assert relative(ours(graph), expected) < NEAR
    if not neighbour.rows_alone:
        assert relative(expected, plain(row)) > 1e-4, "the control has an effect"


def assert_refused(graph: Graph, words: str) -> None:
    """Before the model is evaluated for the first time."""
    calls = []

    def count(apply_model, args):
        calls.append(1)
        return apply_model(args["input"], args["timestep"], **args["c"])

    model = graph.model.clone()
    model.set_model_unet_function_wrapper(count)
    with pytest.raises(ValueError, match=words) as caught:
        ours(replace(graph, model=model))
    assert not calls and len(str(caught.value)) < 500
