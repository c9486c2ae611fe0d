"""Prompt Grid's analysis of variance, compared with least squares, scipy and simulated grids of known variances."""

from itertools import product

import numpy
import pytest
import torch
from scipy import stats

from flux_duet.nodes.probe.grid import variance
from flux_duet.nodes.probe.grid.prompts import gathered, listed
from flux_duet.nodes.probe.grid.summary import coarse, drawn_over, sentence
from flux_duet.nodes.probe.grid.variance import PARTS, analyse, estimates

SEEDS, CLIP, T5 = 3, 4, 5


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squares_of(cells: numpy.ndarray) -> dict[str, float]:
    """Sums of squares of models with dummy variables, one nested in the next: what each effect explains more."""
    levels = numpy.array([*product(*map(range, cells.shape[:3]))])

    def dummies(axes: tuple[int, ...]) -> numpy.ndarray:
        keys = levels[:, list(axes)] @ (10 ** numpy.arange(len(axes)))
        return (keys[:, None] == numpy.unique(keys)).astype(float)

    values = cells.reshape(len(levels), -1)
    terms = {"s": (0,), "c": (1,), "t": (2,), "ct": (1, 2), "sc": (0, 1), "st": (0, 2), "sct": (0, 1, 2)}
    columns, left, found = numpy.ones((len(levels), 1)), ((values - values.mean(0)) ** 2).sum(), {}
    for name, axes in terms.items():
        columns = numpy.concatenate([columns, dummies(axes)], 1)
        fitted = columns @ numpy.linalg.lstsq(columns, values, rcond=None)[0]
        after = ((values - fitted) ** 2).sum()
        found[name], left = left - after, after
    return found


def textbook(cells: numpy.ndarray) -> dict[str, float]:
    """The components by explicit formulas, for fixed prompts and random seeds."""
    k, n, m = cells.shape[:3]
    size = {"s": k - 1, "c": n - 1, "t": m - 1}
    ms = {name: value / numpy.prod([size[axis] for axis in name]) for name, value in squares_of(cells).items()}
    return {
        "clip": (ms["c"] - ms["sc"]) / (k * m), "t5": (ms["t"] - ms["st"]) / (k * n),
        "both": (ms["ct"] - ms["sct"]) / k,
        "seed": (ms["s"] - ms["sc"] - ms["st"] + ms["sct"]) / (n * m),
        "rest": (ms["sc"] - ms["sct"]) / m + (ms["st"] - ms["sct"]) / n + ms["sct"]}  # fmt: skip


@pytest.mark.parametrize("design", [(3, 4, 5), (2, 2, 2), (4, 2, 3)])
def test_components_are_those_of_least_squares(design):
    cells = randn(0, *design, 3, 7) + 2 * randn(1, 1, 1, design[2], 3, 7) + 5
    expected, found = textbook(cells.numpy()), analyse(cells)
    assert found.components == pytest.approx(expected, abs=1e-9)
    whole = sum(expected.values())
    assert found.shares == pytest.approx({name: value / whole for name, value in expected.items()}, abs=1e-9)


def test_float32_and_many_elements_in_chunks(monkeypatch):
    cells = (randn(0, SEEDS, CLIP, T5, 50) + 1000).float()
    whole = analyse(cells)
    monkeypatch.setattr(variance, "CHUNK", 7)
    parts = analyse(cells)
    assert parts.shares == pytest.approx(whole.shares, abs=1e-12)
    assert parts.components == pytest.approx(textbook(cells.double().numpy()), abs=1e-7)


def test_one_factor_is_scipys():
    """For one stream alone, the t statistic of two prompts over the same seeds equals scipy's paired test."""
    cells = randn(0, 6, 1, 2, 1) + randn(1, 1, 1, 2, 1)
    found = analyse(cells).components
    squared = stats.ttest_rel(cells[:, 0, 0, 0], cells[:, 0, 1, 0]).statistic ** 2
    assert (found["t5"] * 6 + found["rest"]) / found["rest"] == pytest.approx(squared)


# ---- simulated grids with known variances

SIMULATED = 1000
# Variances of CLIP, T5, both, the seed, CLIP x seed, T5 x seed, and all three.
TRUTHS = {
    "noise": (0, 0, 0, 0, 0, 0, 1), "CLIP x seed": (0, 0, 0, 0, 1, 0, 0.1),
    "mixed": (0.2, 0.5, 0.1, 0.3, 0.1, 0.1, 0.1), "mostly the seed": (0.05, 0.1, 0.02, 1, 0.1, 0.1, 0.2)}  # fmt: skip
AXES = ((1,), (2,), (1, 2), (0,), (0, 1), (0, 2), (0, 1, 2))


def simulated(name: str, design=(4, 2, 2), elements: int = 40):
    """(estimates of 1,000 grids of the same prompts with other seeds, the true components)."""
    truth, draw = TRUTHS[name], numpy.random.default_rng(len(name))
    cells = numpy.zeros((SIMULATED, *design, elements))
    true = dict.fromkeys(PARTS, 0.0)
    for variance_, axes, part in zip(truth, AXES, ("clip", "t5", "both", "seed", "rest", "rest", "rest"), strict=True):
        random = 0 in axes
        shape = [size if axis in axes else 1 for axis, size in enumerate(design)]
        values = draw.standard_normal((SIMULATED if random else 1, *shape, elements)) * variance_**0.5
        for axis in axes if not random else ():
            values = values - values.mean(axis + 1, keepdims=True)
        freedom = numpy.prod([design[axis] - 1 for axis in axes])
        true[part] += variance_ * elements if random else (values**2).sum() / freedom
        cells += values
    cells = cells.reshape(SIMULATED, -1, elements)
    return estimates(cells @ cells.swapaxes(1, 2), design), true


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("design", [(4, 2, 2), (3, 3, 2), (6, 4, 4)])
def test_estimates_have_no_bias_and_intervals_hold_the_truth(name, design):
    found, true = simulated(name, design)
    whole = sum(true.values())
    for part, values in found.components.items():
        assert abs(values.mean() - true[part]) < 4.5 * values.std() / SIMULATED**0.5 + 1e-12, part
        low, high = found.intervals[part]
        held = ((low <= true[part] / whole) & (true[part] / whole <= high)).mean()
        assert held > 0.93, f"{part}: {held}"


def test_what_chance_gives_reads_as_nothing():
    """Plain sums of squares gave 14 % each for CLIP, T5 and both in noise, and 34 % for CLIP in CLIP x seed."""
    for name in ("noise", "CLIP x seed"):
        found, _ = simulated(name)
        for part in ("clip", "t5", "both"):
            assert abs(found.shares[part].mean()) < 0.01, part
            alarms = (found.shares[part] > found.chance[part]).mean()
            assert 0.02 < alarms < 0.08, f"{name}, {part}: {alarms}"


def test_a_pure_noise_grid_says_so():
    found = analyse(randn(8, 4, 2, 2, 400))
    assert all(found.shares[part] < found.chance[part] for part in ("clip", "t5", "both"))
    text = sentence(found, "pixels")
    assert "CLIP, T5 and both together cannot be distinguished from chance, which alone gives up to" in text
    assert text.startswith("Seed with prompts explains ")


def test_the_sentence_and_what_the_lines_are():
    cells = randn(1, 1, 4, 1, 90) + 2 * randn(2, 1, 1, 5, 90) + 0.3 * randn(3, SEEDS, 4, 5, 90)
    found = analyse(cells)
    low, high = (100 * end for end in found.intervals["t5"])
    t5 = 100 * found.shares["t5"]
    assert sentence(found, "latents").startswith(
        f"T5 explains {t5:.0f} % ({low:.0f} to {high:.0f}) of the differences in latents, CLIP "
    )
    assert "from these 3" in drawn_over(found) and analyse(cells).intervals == found.intervals
    two = analyse(cells[:2])
    assert set(two.intervals.values()) == set(two.chance.values()) == {None}
    assert "No interval" in drawn_over(two)
    assert "With 2 seeds, the level of chance is unknown" in sentence(two, "latents")


@pytest.mark.parametrize(
    "design, unknown, words",
    [
        ((1, 3, 3), PARTS, "With one seed, the prompts' effect cannot be separated from the seed's"),
        ((4, 1, 3), ("clip", "both"), "With one CLIP prompt, CLIP and both together are unknown."),
        ((3, 3, 1), ("t5", "both"), "With one T5 prompt, T5 and both together are unknown."),
        ((1, 1, 3), PARTS, "Only the T5 prompts differ"),
        ((4, 1, 1), ("clip", "t5", "both", "rest"), "Only the seeds differ"),
        ((1, 1, 1), PARTS, "There is one picture"),
    ],
)
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


@pytest.mark.parametrize(
    "text, prompts",
    [
        ("a\nb", ["a", "b"]),
        ("\n a \n\n\nb\t\n", ["a", "b"]),
        ('a\n""\nb', ["a", "", "b"]),
        ("a\nb\na", ["a", "b"]),
        ("a\nstill a\n---\nb\n\nstill b\n---\n", ["a\nstill a", "b\n\nstill b"]),
        ('---\na\n---\n""\n --- \nb', ["a", "", "b"]),
        ("a --- b\n----", ["a --- b", "----"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("", []),
    ],
)
def test_prompts_of_a_text(text, prompts):
    assert listed(text) == prompts


def test_prompts_of_a_file_follow_those_of_the_widget(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffin the snow\nnebel \u00fcber dem see\na".encode())
    assert gathered("CLIP", "a\nb", file) == ["a", "b", "in the snow", "nebel \u00fcber dem see"]
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="T5 prompts cannot be read from prompts.txt"):
        gathered("T5", "a", file)
    file.write_bytes(b"a" * 1_000_001)
    with pytest.raises(ValueError, match="larger than 1,000,000 bytes"):
        gathered("T5", "a", file)
    with pytest.raises(ValueError, match="got no CLIP prompt"):
        gathered("CLIP", "\n\n", None)
