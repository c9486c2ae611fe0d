"""The analysis of variance behind Prompt Grid, against least squares, scipy and data whose shares are known."""

from itertools import product

import numpy
import pytest
import torch
from scipy import stats

from flux_duet.nodes.probe.grid.prompts import gathered, listed
from flux_duet.nodes.probe.grid.telling import coarse, drawn_over, sentence
from flux_duet.nodes.probe.grid.variance import PARTS, analyse

SEEDS, CLIP, T5 = 3, 4, 5


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def least_squares(cells: numpy.ndarray) -> dict[str, float]:
    """Shares of models with dummy variables, one nested in the next: each part is what the next model explains more."""
    design = cells.shape[:3]
    levels = numpy.array([*product(*map(range, design))])

    def dummies(*axes: int) -> numpy.ndarray:
        keys = levels[:, list(axes)] @ (10 ** numpy.arange(len(axes)))
        return (keys[:, None] == numpy.unique(keys)).astype(float)

    values = cells.reshape(len(levels), -1)

    def left(*terms: tuple[int, ...]) -> float:
        columns = numpy.concatenate([numpy.ones((len(levels), 1)), *(dummies(*term) for term in terms)], 1)
        fitted = columns @ numpy.linalg.lstsq(columns, values, rcond=None)[0]
        return ((values - fitted) ** 2).sum()

    terms = {"clip": (1,), "t5": (2,), "both": (1, 2), "seed": (0,)}
    whole, before, shares = left(), left(), {}
    for number, name in enumerate(terms, 1):
        after = left(*list(terms.values())[:number])
        shares[name], before = (before - after) / whole, after
    return {**shares, "rest": before / whole}


@pytest.mark.parametrize("design", [(3, 4, 5), (2, 2, 2), (1, 4, 5), (4, 1, 5), (3, 4, 1)])
def test_shares_are_those_of_least_squares(design):
    cells = randn(0, *design, 3, 7) + 2 * randn(1, 1, 1, design[2], 3, 7) + 5
    expected = least_squares(cells.numpy())
    found = analyse(cells, draws=3)
    known = {name: share for name, share in found.shares.items() if share is not None}
    assert known == pytest.approx({name: expected[name] for name in known}, abs=1e-12)
    assert sum(known.values()) == pytest.approx(1.0, abs=1e-12), "they add up to the whole"
    assert all(expected[name] == pytest.approx(0, abs=1e-12) for name in PARTS if name not in known)


def test_float32_and_many_elements_in_chunks(monkeypatch):
    from flux_duet.nodes.probe.grid import variance

    cells = (randn(0, SEEDS, CLIP, T5, 50) + 1000).float()
    whole = analyse(cells, draws=3)
    monkeypatch.setattr(variance, "CHUNK", 7)
    parts = analyse(cells, draws=3)
    assert parts.shares == pytest.approx(whole.shares, abs=1e-12)
    assert parts.shares == pytest.approx(least_squares(cells.double().numpy()), abs=1e-9)


def test_one_factor_is_scipys():
    """The F of a one-way analysis follows from the share that its factor explains."""
    cells = randn(0, 6, 1, 4, 1) + randn(1, 1, 1, 4, 1)  # six seeds of four T5 prompts
    found = analyse(cells, draws=3).shares
    within = found["seed"] + found["rest"]
    groups = cells[:, 0, :, 0].T.numpy()
    assert (found["t5"] / 3) / (within / (24 - 4)) == pytest.approx(stats.f_oneway(*groups).statistic)


def test_known_shares():
    """Effects made to be orthogonal and of these sizes are found as they are."""
    wanted = {"clip": 0.18, "t5": 0.65, "both": 0.05, "seed": 0.08, "rest": 0.04}

    def effect(seed: int, *axes: int) -> torch.Tensor:
        """Random values over some axes, constant over others, whose means over each of its axes are 0."""
        values = randn(seed, *(size if axis in axes else 1 for axis, size in enumerate((SEEDS, CLIP, T5))), 30)
        for axis in axes:
            values = values - values.mean(axis, keepdim=True)
        values = values.expand(SEEDS, CLIP, T5, 30)
        return values / values.square().sum().sqrt()

    axes = {"clip": (1,), "t5": (2,), "both": (1, 2), "seed": (0,), "rest": (0, 1, 2)}
    cells = sum(wanted[name] ** 0.5 * effect(seed, *axes[name]) for seed, name in enumerate(wanted)) + randn(9, 30)
    found = analyse(cells)
    assert found.shares == pytest.approx(wanted, abs=1e-12)
    assert sentence(found, "latents") == (
        "T5 explains 65 % of what differs in latents, CLIP 18 %, the seed 8 %, both together 5 %, "
        "seed with prompts 4 %."
    )
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= wanted[name] <= high <= 1


def test_intervals_are_repeatable_and_say_what_they_are_over():
    cells = randn(0, SEEDS, CLIP, T5, 10)
    one, other = analyse(cells), analyse(cells)
    assert one.intervals == other.intervals
    assert analyse(cells, seed=1).intervals != one.intervals
    assert "4 CLIP prompts, 5 T5 prompts and 3 seeds" in drawn_over(one)
    two = analyse(randn(0, 2, 2, 5, 10))
    assert "over the 5 T5 prompts (" in drawn_over(two)
    none = analyse(randn(0, 2, 2, 2, 10))
    assert set(none.intervals.values()) == {None} and "No interval" in drawn_over(none)


def test_intervals_hold_what_the_whole_population_would_give():
    """Grids drawn from one population: its expected shares lie in the intervals about as often as they claim."""
    sds, runs, inside = {"clip": 1.0, "t5": 1.6, "both": 0.6, "seed": 0.7, "rest": 0.5}, 40, 0
    c, t, b, s, r = (sd**2 for sd in sds.values())
    n, m, k = 6, 6, 3
    squares = {
        "clip": (n - 1) * (k * m * c + k * b + r), "t5": (m - 1) * (k * n * t + k * b + r),
        "both": (n - 1) * (m - 1) * (k * b + r), "seed": (k - 1) * (n * m * s + r), "rest": (k - 1) * (n * m - 1) * r}
    for run in range(runs):
        shapes = {"clip": (1, n, 1), "t5": (1, 1, m), "both": (1, n, m), "seed": (k, 1, 1), "rest": (k, n, m)}
        cells = sum(sds[name] * randn(100 * run + place, *shapes[name], 4) for place, name in enumerate(sds))
        found = analyse(cells, draws=200)
        inside += sum(low <= squares[name] / sum(squares.values()) <= high
                      for name, (low, high) in found.intervals.items())
    assert inside / (runs * len(PARTS)) > 0.9


@pytest.mark.parametrize("design, unknown, words", [
    ((1, 3, 3), ("seed", "rest"), "With one seed, the seed and seed with prompts are unknown. What looks like"),
    ((2, 1, 3), ("clip", "both"), "With one CLIP prompt, CLIP and both together are unknown."),
    ((2, 3, 1), ("t5", "both"), "With one T5 prompt, T5 and both together are unknown."),
    ((1, 1, 3), ("clip", "both", "seed", "rest"), "Only the T5 prompts differ"),
    ((4, 1, 1), ("clip", "t5", "both", "rest"), "Only the seeds differ"),
    ((1, 1, 1), tuple(PARTS), "One picture differs from nothing")])
def test_what_a_grid_cannot_tell_is_unknown_and_not_zero(design, unknown, words):
    found = analyse(randn(0, *design, 8))
    assert {name for name, share in found.shares.items() if share is None} == set(unknown)
    assert all(found.intervals[name] is None and name not in found.maps for name in unknown)
    assert words in sentence(found, "latents")


def test_pictures_that_are_all_the_same():
    found = analyse(torch.ones(2, 3, 3, 8))
    assert set(found.shares.values()) == {None} and sentence(found, "pixels") == "All pictures are the same."


def test_maps_say_where():
    """CLIP acts on the left half and T5 on the right; the maps add up to the shares."""
    cells = torch.zeros(2, 3, 3, 8, 8, 3, dtype=torch.float64)
    cells[:, :, :, :, :4] += randn(0, 1, 3, 1, 8, 4, 3)
    cells[:, :, :, :, 4:] += randn(1, 1, 1, 3, 8, 4, 3)
    found = analyse(cells)
    clip, t5 = (coarse(found.maps[name]) for name in ("clip", "t5"))
    assert clip.shape == (8, 8) and (clip[:, 4:] < 1e-9).all() and (t5[:, :4] < 1e-9).all()
    whole = sum(each.sum() for each in found.maps.values())
    assert found.maps["clip"].sum() / whole == pytest.approx(found.shares["clip"], abs=1e-5)
    assert coarse(numpy.ones((300, 200, 3))).shape == (60, 40) and coarse(numpy.ones((16, 9, 7))).shape == (9, 7)


# ---- the lists of prompts

@pytest.mark.parametrize("text, prompts", [
    ("a\nb", ["a", "b"]),
    ("\n a \n\n\nb\t\n", ["a", "b"]),
    ('a\n""\nb', ["a", "", "b"]),
    ("a\nb\na", ["a", "b"]),
    ("a\nstill a\n---\nb\n\nstill b\n---\n", ["a\nstill a", "b\n\nstill b"]),
    ('---\na\n---\n""\n --- \nb', ["a", "", "b"]),
    ("a --- b\n----", ["a --- b", "----"]),
    ("a\r\nb\r\n", ["a", "b"]),
    ("", [])])
def test_prompts_of_a_text(text, prompts):
    assert listed(text) == prompts


def test_prompts_of_a_file_follow_those_of_the_widget(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffin the snow\nnebel \u00fcber dem see\na".encode())
    assert gathered("CLIP", "a\nb", file) == ["a", "b", "in the snow", "nebel \u00fcber dem see"]
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="prompts.txt cannot be read for T5 prompts"):
        gathered("T5", "a", file)
    file.write_bytes(b"a" * 1_000_001)
    with pytest.raises(ValueError, match="larger than 1,000,000 bytes"):
        gathered("T5", "a", file)
    with pytest.raises(ValueError, match="got no CLIP prompt"):
        gathered("CLIP", "\n\n", None)
