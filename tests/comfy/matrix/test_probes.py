"""Every probe with every native neighbour: the picture is unchanged bit for bit, the reading equals the reference."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.heat.nodes import Heatmap, ShowHeatmap
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence, ShowInfluence
from flux_duet.nodes.probe.sweep.nodes import SwitchSweep
from flux_duet.tests.comfy.inputs import txt, vec
from flux_duet.tests.comfy.matrix import outcomes
from flux_duet.tests.comfy.matrix.controls import CONTROLS
from flux_duet.tests.comfy.matrix.dense import Truth, overridden
from flux_duet.tests.comfy.matrix.graph import (
    CLIP_A,
    CLIP_B,
    CLIP_C,
    SEED,
    STEPS,
    A,
    B,
    C,
    Graph,
    chained,
    natively,
    ours,
    prompt,
    relative,
)
from flux_duet.tests.comfy.matrix.probes import Shares, drawn, effects
from flux_duet.tests.comfy.matrix.runs import NEIGHBOURS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TABLE = outcomes.table(outcomes.PROBES)
PROBES = ["mass", "flow", "output", "influence", "sweep"]
ROWS = 256  # of a T5 prompt
TEXT, WORDS = "a red circle, and a redder ring at night", {"red": [2], "redder": [8, 9]}
NO_VEC, NO_TXT = vec(11), txt(12, 9)
REFUSALS = {"batch of 2": "2 pictures", "FluxKVCache": "Flux KV Cache"}


def test_every_pair_is_declared():
    assert list(TABLE) == list(NEIGHBOURS)
    assert all(list(row) == PROBES for row in TABLE.values())


@pytest.fixture(scope="module")
def text(singles):
    with torch.inference_mode():
        return T5Encode.execute(singles[1], TEXT)[0]


@pytest.fixture(scope="module")
def plain(flux, world, text):
    """A neighbour's graph of the plain prompt, its picture, and the reference of each word's shares."""
    made = {}

    def of(row):
        if row not in made:
            graph = NEIGHBOURS[row].place(world, Graph(flux, prompt(text), prompt(text)))
            before = graph.positive[0][0].shape[1] - ROWS if row == "Concat (from)" else 0
            at = None if TABLE[row]["mass"] == outcomes.UNREAD else before + ROWS
            words = [[before + place for place in rows] for rows in WORDS.values()]
            made[row] = graph, drawn(graph), at and Shares(graph, at, words)
        return made[row]

    return of


# ---- Token Heatmap


@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
@pytest.mark.parametrize("row", NEIGHBOURS)
def test_heatmap(plain, text, row, measure):
    graph, picture, expected = plain(row)
    ready, probe = Heatmap.execute(graph.model, text, ",".join(WORDS), measure).result
    out = drawn(replace(graph, model=ready))
    assert torch.equal(out, picture), "a probe never changes the picture"
    if TABLE[row][measure] == outcomes.UNREAD:
        with pytest.raises(ValueError, match="not part of the model's input"):
            ShowHeatmap.execute(probe, {"samples": out})
        return
    shown = ShowHeatmap.execute(probe, {"samples": out})
    masks, metadata = shown[1], json.loads(shown[3])
    # Whatever the measure, the shares are of the attention.
    assert [metadata["shares"][word] for word in WORDS] == pytest.approx(expected.masses.tolist(), rel=1e-4, abs=1e-6)
    if measure == "mass":
        counted = torch.ones_like(expected.maps[0], dtype=torch.bool) if expected.counted is None else expected.counted
        low, high = (each[:, None, None] for each in expected.maps[:, counted].aminmax(dim=1))
        wide = ((expected.maps - low) / (high - low)).clamp(0, 1)
        wide = interpolate(wide[None], masks.shape[-2:], mode="bilinear")[0]
        wide = wide * interpolate(counted[None, None].float(), masks.shape[-2:])[0]
        assert (masks[: len(WORDS)] - wide).abs().max() < 2e-3


READ = ["region", "region, end", "nag", "nag, end", "route clip", "route t5", "clip negative", "steps"]


@pytest.mark.parametrize("column", READ)
def test_heatmap_of_a_controlled_prompt(flux, text, column):
    """With further texts, and only in the steps in which its timeline uses it."""
    control = CONTROLS[column](text)
    graph = Graph(flux, control.made, control.base)
    model, probe = Heatmap.execute(flux, text, ",".join(WORDS)).result
    out = ours(replace(graph, model=model))
    assert torch.equal(out, ours(graph))
    metadata = json.loads(ShowHeatmap.execute(probe, {"samples": out})[3])
    expected = Shares(replace(graph, positive=control.base), ROWS, list(WORDS.values()), control.truth)
    assert [metadata["shares"][word] for word in WORDS] == pytest.approx(expected.masses.tolist(), rel=1e-4, abs=1e-6)


# ---- Encoder Influence


@pytest.mark.parametrize("row", NEIGHBOURS)
def test_influence(flux, world, row):
    neighbour = NEIGHBOURS[row]
    placed = neighbour.place(world, graph_of(flux))
    # Each of several combined prompts counts as the T5 prompt entirely.
    connected = None if neighbour.own_entry else A
    model, probe = Influence.execute(placed.model, EMPTY, 1, NO_VEC, NO_TXT, txt=connected).result
    out = drawn(replace(placed, model=model))
    assert torch.equal(out, drawn(placed)), "a probe never changes the picture"
    if TABLE[row]["influence"] == outcomes.UNREAD:
        with pytest.raises(ValueError, match="`txt` is not the T5 prompt that is sampled"):
            ShowInfluence.execute(probe, {"samples": out})
        return
    rows = json.loads(ShowInfluence.execute(probe, {"samples": out})[6])["per_step"]
    expected = influence_by_hand(flux, world, neighbour)
    assert rows[0]["step"] == 0 and (neighbour.caches or [each["step"] for each in rows] == list(expected))
    for each in rows:
        for name, number in expected[each["step"]].items():
            assert each[name] == pytest.approx(number, rel=5e-4, abs=2e-5), (each["step"], name)


def graph_of(flux, text=A, clip=CLIP_A) -> Graph:
    return Graph(flux, prompt(text, clip), prompt(text, clip))


def influence_by_hand(flux, world, neighbour):
    """Each variant is the neighbour's graph of that prompt; a prompt combined with it is also replaced.

    Rows that a neighbour appended stay.
    """

    def placed(clip, text) -> Graph:
        other_text = C if text is A or not neighbour.own_entry else NO_TXT
        other_world = replace(world, other=prompt(other_text, CLIP_C if clip is CLIP_A else NO_VEC))
        graph = neighbour.place(other_world, graph_of(flux, text, clip))
        # A cache would skip the reference's evaluations.
        return replace(graph, model=flux) if neighbour.caches else graph

    variants = {"v11": (CLIP_A, A), "v10": (NO_VEC, A), "v01": (CLIP_A, NO_TXT), "v00": (NO_VEC, NO_TXT)}
    run = neighbour.place(world, graph_of(flux))
    return effects(run, {name: placed(*prompts) for name, prompts in variants.items()}, neighbour.keeps)


# ---- Switch Sweep


@pytest.mark.parametrize("switch", ["both", "T5", "CLIP"])
@pytest.mark.parametrize("row", NEIGHBOURS)
def test_sweep(flux, world, row, switch):
    """Each prompt alone went through the neighbour; the picture equals that of two chained native samplers."""
    outcome, place = TABLE[row]["sweep"], NEIGHBOURS[row].place
    if outcome == outcomes.APART:
        return
    a, b = (place(world, graph_of(flux, *each)) for each in ((A, CLIP_A), (B, CLIP_B)))
    if outcome == outcomes.REFUSES:
        with pytest.raises(ValueError, match=REFUSALS[row]):
            swept(a, b, switch)
        return
    samples = swept(a, b, switch)
    later = (B if switch != "CLIP" else A, CLIP_B if switch != "T5" else CLIP_A)
    after = place(world, graph_of(flux, *later))
    a, after = (replace(each, negative=None, cfg=1.0) for each in (a, after))
    for step in range(STEPS + 1):
        if outcome == outcomes.EQUAL:
            expected = chained([a] * step + [after] * (STEPS - step))
        else:
            expected = natively(a, overridden(a, A.spans[0].tensor.shape[1], switching(step, *later)))
        assert relative(samples[step : step + 1], expected) < 5e-6, f"switched at {step}"


def switching(step: int, text, clip):
    truth = Truth(text.spans[0].tensor, clip.spans[0].tensor)
    return lambda now: truth if now >= step else None


def swept(a: Graph, b: Graph, switch: str):
    return SwitchSweep.execute(a.model, a.positive, b.positive, switch, a.latent, SEED, STEPS, "euler", "simple")[1][
        "samples"
    ]
