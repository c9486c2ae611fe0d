"""Joining and splitting a CONDITIONING loses nothing, and pairs entries that belong together."""

import pytest
import torch

from flux_duet.nodes.condition.choices import DEFAULT_GUIDANCE, GUIDANCE_OFF
from flux_duet.nodes.condition.conditioning import check_pair, join, split, widths
from flux_duet.nodes.condition.extras import same
from flux_duet.nodes.streams import ClipVec, Span, T5Text


class Opaque:
    """A stand-in for a ControlNet or a hook group: its content may be compared, but not the object itself."""

    def __init__(self, **held):
        self.__dict__.update(held)

    def __eq__(self, other):
        raise AssertionError("compared by value")

    __hash__ = None


def vec_span(**extras) -> Span:
    return Span(torch.randn(1, 8), extras)


def txt_span(**extras) -> Span:
    return Span(torch.randn(1, 5, 16), extras)


def timed(start: float, end: float) -> dict:
    return {"clip_start_percent": start, "clip_end_percent": end}


def entry(guidance=3.5, **extras) -> list:
    return [torch.randn(1, 5, 16), {"pooled_output": torch.randn(1, 8), "guidance": guidance, **extras}]


def assert_same(ours: list, theirs: list):
    assert len(ours) == len(theirs)
    for (ours_txt, ours_extras), (theirs_txt, theirs_extras) in zip(ours, theirs, strict=True):
        assert ours_txt is theirs_txt
        assert ours_extras.keys() == theirs_extras.keys()
        for key, value in theirs_extras.items():
            assert ours_extras[key] is value or ours_extras[key] == value, key


def test_join_gives_native_entries():
    vec, txt = ClipVec((vec_span(),)), T5Text((txt_span(),))
    native = [[txt.spans[0].tensor, {"pooled_output": vec.spans[0].tensor, "guidance": 4.5}]]
    assert_same(join(vec, txt, 4.5), native)


@pytest.mark.parametrize("guidance", [0.0, 3.5, 100.0])
def test_round_trip_loses_nothing(guidance):
    """Several entries, extras of every kind, and extras by identity."""
    conditioning = [
        entry(guidance, control=Opaque(), mask=torch.ones(1, 8, 8), reference_latents=[torch.zeros(1)]),
        entry(guidance, hooks=Opaque(), start_percent=0.2, area=(1, 2, 3, 4)),
        entry(guidance, **timed(0.0, 0.5)),
        entry(guidance, **timed(0.5, 1.0)),
    ]
    assert_same(join(*split(conditioning)), conditioning)


def test_round_trip_leaves_the_input_alone():
    conditioning = [entry(control="c")]
    before = [[txt, dict(extras)] for txt, extras in conditioning]
    joined = join(*split(conditioning))
    assert_same(conditioning, before)
    joined[0][1]["mask"] = "set by a later node"
    assert "mask" not in conditioning[0][1]


def test_guidance_off_is_none_natively():
    off = join(ClipVec((vec_span(),)), T5Text((txt_span(),)), GUIDANCE_OFF)
    assert off[0][1]["guidance"] is None
    *streams, guidance = split(off)
    assert guidance == GUIDANCE_OFF
    assert_same(join(*streams, guidance), off)


def test_split_without_guidance_gives_comfyuis_default():
    conditioning = [entry()]
    del conditioning[0][1]["guidance"]
    assert split(conditioning)[2] == DEFAULT_GUIDANCE


def test_differing_guidances_raise():
    for other in (4.0, None):
        with pytest.raises(ValueError, match="guidance") as error:
            split([entry(3.5), entry(other)])
        assert "3.5" in str(error.value) and str(other) in str(error.value)


@pytest.mark.parametrize("absent", [{}, {"pooled_output": None}])
def test_missing_pooled_raises(absent):
    conditioning = [entry(), [torch.zeros(1, 7, 16), absent]]
    with pytest.raises(ValueError, match=r"\[1, 7, 16\].*pooled_output"):
        split(conditioning)


def test_empty_conditioning_raises():
    with pytest.raises(ValueError, match="empty"):
        split([])


@pytest.mark.parametrize("many", [False, True], ids=["without times", "scheduled"])
def test_one_encoding_serves_many(many):
    times = [timed(0.0, 0.25), timed(0.25, 1.0)] if many else [{}, {}]
    vec, txts = vec_span(), tuple(txt_span(**extras) for extras in times)
    joined = join(ClipVec((vec,)), T5Text(txts), 3.5)
    assert_same(joined, [
        [txt.tensor, {"pooled_output": vec.tensor, "guidance": 3.5, **extras}]
        for txt, extras in zip(txts, times, strict=True)
    ])  # fmt: skip


def test_many_encodings_share_one_of_t5():
    vecs, txt = (vec_span(**timed(0, 0.5)), vec_span(**timed(0.5, 1))), txt_span()
    joined = join(ClipVec(vecs), T5Text((txt,)), 3.5)
    assert [extras["pooled_output"] for _, extras in joined] == [vec.tensor for vec in vecs]
    assert all(row is txt.tensor for row, _ in joined)


def test_schedules_meet_where_their_times_overlap():
    vecs = tuple(vec_span(**timed(a, b)) for a, b in [(0.0, 0.4), (0.4, 1.0)])
    txts = tuple(txt_span(**timed(a, b)) for a, b in [(0.0, 0.2), (0.2, 0.7), (0.7, 1.0)])
    joined = join(ClipVec(vecs), T5Text(txts), 3.5)
    expected = [(0, 0, 0.0, 0.2), (0, 1, 0.2, 0.4), (1, 1, 0.4, 0.7), (1, 2, 0.7, 1.0)]
    assert_same(joined, [
        [txts[j].tensor, {"pooled_output": vecs[i].tensor, "guidance": 3.5, **timed(start, end)}]
        for i, j, start, end in expected
    ])  # fmt: skip


def test_many_without_times_raise():
    vecs, txts = [vec_span() for _ in range(3)], [txt_span() for _ in range(2)]
    with pytest.raises(ValueError, match="has 3 encodings and `txt` 2"):
        join(ClipVec(tuple(vecs)), T5Text(tuple(txts)), 3.5)


def test_extras_of_both_streams_come_together():
    control, mask = Opaque(), torch.ones(1)
    vec, txt = vec_span(control=control, strength=1.0), txt_span(control=control, strength=1.0, mask=mask)
    _, extras = join(ClipVec((vec,)), T5Text((txt,)), 3.5)[0]
    assert extras["control"] is control and extras["mask"] is mask and extras["strength"] == 1.0


@pytest.mark.parametrize("pair", [
    (1.0, 2.0), (Opaque(), Opaque()), (Opaque(strength=1.0), Opaque(strength=0.5)), (torch.ones(1), torch.zeros(1)),
    (torch.ones(1), torch.ones(2)), ([torch.ones(1)], [torch.ones(1)] * 2), ({"a": 1}, {"b": 1}), ("a", None),
    (Opaque(model=torch.nn.Linear(1, 1)), Opaque(model=torch.nn.Linear(1, 1))), (lambda: 1, lambda: 1)])  # fmt: skip
def test_a_conflict_raises_and_names_its_key(pair):
    vec, txt = vec_span(control=pair[0]), txt_span(control=pair[1])
    with pytest.raises(ValueError, match="ControlNets"):
        join(ClipVec((vec,)), T5Text((txt,)), 3.5)
    merged = join(ClipVec((vec,)), T5Text((txt,)), 3.5, merges={"control": lambda a, b: ("vec", a, "txt", b)})
    assert merged[0][1]["control"] == ("vec", pair[0], "txt", pair[1])


NET = torch.nn.Linear(1, 1)


def applied(strength: float = 0.5, **other) -> Opaque:
    """As ComfyUI copies a ControlNet each time it is applied."""
    return Opaque(model=NET, hint=torch.ones(1, 3, 8, 8), strength=strength, range=(0.0, 1.0), previous=None, **other)


@pytest.mark.parametrize("pair", [
    (torch.ones(2), torch.ones(2)), ([torch.ones(1)], [torch.ones(1)]), ({"a": [1, "b"]}, {"a": [1, "b"]}),
    (applied(), applied()), (applied(before=applied()), applied(before=applied()))])  # fmt: skip
def test_equal_extras_are_one(pair):
    """Two prompts that each came through their own ReferenceLatent or Apply ControlNet."""
    vec, txt = vec_span(control=pair[0]), txt_span(control=pair[1])
    found = join(ClipVec((vec,)), T5Text((txt,)), 3.5)[0][1]["control"]
    assert found is pair[0] or found is pair[1]
    if isinstance(pair[0], Opaque):
        for other in (applied(0.6), applied(before=applied(0.1)), applied(before=None)):
            with pytest.raises(ValueError, match="ControlNets"):
                join(ClipVec((vec,)), T5Text((txt_span(control=other),)), 3.5)


def test_comparing_never_raises_nor_goes_on_for_ever():
    one, other = Opaque(name="a"), Opaque(name="a")
    one.itself, other.itself = one, other
    assert not same(one, other), "values nested too deep to compare count as different"
    meta = torch.ones(2, device="meta"), torch.ones(2, device="meta")
    assert not same(*meta) and not same(torch.eye(2).to_sparse(), torch.eye(2).to_sparse())


def test_errors_name_the_node_that_runs_and_its_inputs():
    a, b = [entry(control=1)], [entry(control=2)]
    with pytest.raises(ValueError, match="Block Routing: `a` and `b` have different ControlNets .Apply.*Set"):
        check_pair(a, b, "Block Routing")
    with pytest.raises(ValueError, match="Block Routing, `b`: got a CONDITIONING .*pooled_output"):
        check_pair(a, [[torch.zeros(1, 7, 16), {}]], "Block Routing")
    with pytest.raises(ValueError, match="Block Routing: `a` has 2 encodings and `b` 3"):
        check_pair([entry()] * 2, [entry()] * 3, "Block Routing")


def test_a_conflict_is_found_between_schedules_too():
    vec, txt = vec_span(control=1), txt_span(control=2, **timed(0.0, 0.5))
    with pytest.raises(ValueError, match="ControlNets"):
        join(ClipVec((vec,)), T5Text((txt,)), 3.5)


def test_widths():
    without = [torch.zeros(1, 3, 4096), {}]
    assert widths([entry(), without]) == [(8, 16), (0, 4096)]
