"""Prompt Grid's LoRAs: the lines, the analysis with a fourth axis compared with least squares, and the page."""

from itertools import combinations, product

import numpy
import pytest
import torch
from PIL import Image

from flux_duet.nodes.probe.grid.lora_lines import LoraLine, parsed
from flux_duet.nodes.probe.grid.summary import method, page, sentence
from flux_duet.nodes.probe.grid.variance import FIXED, PARTS, analyse, estimates, parts
from flux_duet.nodes.probe.plots import sections, sheets

FILES = ["style.safetensors", "people/ann lee.safetensors", "old\\flat.safetensors", "style"]

# ---- the lines


@pytest.mark.parametrize(
    "text, lines",
    [
        ("style.safetensors 0.8", [("style.safetensors", 0.8)]),
        ("style.safetensors: 0.8\r\n", [("style.safetensors", 0.8)]),
        ("style.safetensors:-1.5", [("style.safetensors", -1.5)]),
        ("style.safetensors", [("style.safetensors", 1.0)]),
        ("style 0.5\nstyle.safetensors 0.5", [("style", 0.5), ("style.safetensors", 0.5)]),
        ("\n none \n\npeople/ann lee.safetensors\t1", [(None, 0.0), ("people/ann lee.safetensors", 1.0)]),
        ("people\\ann lee.safetensors 1", [("people/ann lee.safetensors", 1.0)]),
        ("old/flat.safetensors 1e-1", [("old\\flat.safetensors", 0.1)]),
        ("None\nstyle 1\nstyle 2", [(None, 0.0), ("style", 1.0), ("style", 2.0)]),
        ("", []),
    ],
)
def test_a_line_is_a_file_and_its_strength(text, lines):
    assert parsed(text, FILES) == [LoraLine(*line) for line in lines]


@pytest.mark.parametrize(
    "text, message",
    [
        ("none\nstile.safetensors 0.8", "line 2 of `loras`: there is no 'stile.safetensors' in models/loras. Near "
         "names: style. There: style.safetensors, people/ann lee.safetensors"),
        ("ann_lee.safetensors: 1", "Near names: people/ann lee.safetensors"),
        (":" * 9 + "x", "there is no ':::::::::x' in models/loras"),
        ("xyz.pt", "no 'xyz.pt' in models/loras. There: "),
        ("style.safetensors strong", "line 1 of `loras` has 'strong' after style.safetensors, expected one number"),
        ("style.safetensors 0,8", "'0,8' after style.safetensors"),
        ("style.safetensors nan", "'nan' after"),
        ("style.safetensors 0.8, style 1", "'0.8, style 1' after style.safetensors"),
        ("style 1\n\nstyle: 1.0", "line 3 of `loras` .style 1. gives the same pictures as line 1"),
        ("none\nstyle 0", "line 2 of `loras` .style 0. gives the same pictures as line 1"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_what_was_expected(text, message):
    with pytest.raises(ValueError, match=f"Prompt Grid: .*{message}"):
        parsed(text, FILES)


def test_an_empty_folder_is_reported():
    with pytest.raises(ValueError, match="models/loras, which is empty"):
        parsed("style 1", [])


# ---- the analysis


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def subsets(count: int) -> list[frozenset]:
    return [frozenset(each) for size in range(1, count + 1) for each in combinations(range(count), size)]


def mean_squares(cells: numpy.ndarray, axes: int) -> dict[frozenset, float]:
    """What each effect explains beyond the smaller ones, by least squares on dummy variables, over its freedom."""
    levels = numpy.array([*product(*map(range, cells.shape[:axes]))])
    values = cells.reshape(len(levels), -1)
    columns, left, found = numpy.ones((len(levels), 1)), ((values - values.mean(0)) ** 2).sum(), {}
    for effect in subsets(axes):
        keys = levels[:, sorted(effect)] @ (10 ** numpy.arange(len(effect)))
        columns = numpy.concatenate([columns, keys[:, None] == numpy.unique(keys)], 1)
        fitted = columns @ numpy.linalg.lstsq(columns, values, rcond=None)[0]
        after = ((values - fitted) ** 2).sum()
        found[effect], left = (left - after) / numpy.prod([cells.shape[axis] - 1 for axis in effect]), after
    return found


def solved(cells: numpy.ndarray, axes: int) -> dict[str, float]:
    """The components from the equations of the expected mean squares, solved as a linear system.

    An effect's mean square holds its own component and those of all random effects (with the seed) that contain it,
    each as often as cells are averaged in it.
    """
    effects, shape = subsets(axes), cells.shape[:axes]
    matrix = [[numpy.prod([shape[axis] for axis in range(axes) if axis not in other])
               if other == effect or (effect < other and 0 in other) else 0.0 for other in effects]
              for effect in effects]  # fmt: skip
    squares = mean_squares(cells, axes)
    values = dict(zip(effects, numpy.linalg.solve(matrix, [squares[each] for each in effects]), strict=True))
    found = {part: values[effect] for part, effect in FIXED.items() if effect in values}
    found["seed"] = values[frozenset({0})]
    return {**found, "rest": sum(value for effect, value in values.items() if 0 in effect and len(effect) > 1)}


@pytest.mark.parametrize("design", [(3, 2, 4, 3), (2, 2, 2, 2), (4, 3, 2, 2)])
def test_components_with_loras_are_those_of_least_squares(design):
    cells = (
        randn(0, *design, 3, 5) + 2 * randn(1, 1, 1, 1, design[3], 3, 5) + randn(2, 1, design[1], 1, design[3], 1, 1)
    )
    expected, found = solved(cells.numpy(), 4), analyse(cells + 9, axes=4)
    assert set(found.components) == set(parts(4)) == {*PARTS, "lora", "clip_lora", "t5_lora", "clip_t5_lora"}
    assert found.components == pytest.approx(expected, abs=1e-9)
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-12)
    assert max(found.shares, key=found.shares.get) == "lora"
    assert found.maps["lora"].shape == (3, 5)
    whole = sum(each.sum() for each in found.maps.values())
    assert found.maps["clip_lora"].sum() / whole == pytest.approx(found.shares["clip_lora"], abs=1e-5)


def test_three_axes_solve_the_same_equations():
    cells = randn(0, 3, 2, 4, 5)
    assert analyse(cells).components == pytest.approx(solved(cells.numpy(), 3), abs=1e-9)


def test_exact_effects_are_found_alone():
    """A difference by LoRA alone is the LoRA's, one by LoRA and T5 together is theirs."""
    lora = analyse(randn(0, 1, 1, 1, 3, 8).expand(3, 2, 2, 3, 8), axes=4)
    assert lora.shares["lora"] == pytest.approx(1) and "The LoRA explains 100 %" in sentence(lora, "pixels")
    pair = randn(1, 1, 1, 2, 3, 8)
    pair = pair - pair.mean(2, keepdim=True) - pair.mean(3, keepdim=True) + pair.mean((2, 3), keepdim=True)
    assert analyse(pair.expand(3, 2, 2, 3, 8), axes=4).shares["t5_lora"] == pytest.approx(1)


def test_in_noise_a_lora_reads_as_nothing():
    draw, design = numpy.random.default_rng(0), (4, 2, 2, 2)
    cells = draw.standard_normal((1000, 32, 40))
    found = estimates(cells @ cells.swapaxes(1, 2), design)
    for part in FIXED:
        assert abs(found.shares[part].mean()) < 0.01, part
        assert 0.02 < (found.shares[part] > found.chance[part]).mean() < 0.08, part


def test_the_sentence_names_the_lora_and_its_interactions():
    cells = randn(0, 1, 1, 1, 3, 90) + 0.5 * randn(1, 1, 2, 1, 3, 90) + 0.3 * randn(3, 4, 2, 2, 3, 90)
    found = analyse(cells, axes=4)
    text = sentence(found, "pixels")
    assert text.startswith(f"The LoRA explains {100 * found.shares['lora']:.0f} % (") and "CLIP with the LoRA " in text
    assert "T5 with the LoRA" in text and "all three together" in text
    assert "prompts and LoRAs are fixed, the seeds random blocks crossed with all" in method(found)
    assert "the effect of prompts and LoRAs cannot be separated" in sentence(analyse(cells[:1], axes=4), "pixels")
    only = analyse(cells[:1, :1, :1], axes=4)
    assert "Only the LoRAs differ" in sentence(only, "pixels") and set(only.shares.values()) == {None}
    one_t5 = sentence(analyse(cells[:, :, :1], axes=4), "pixels")
    assert "With one T5 prompt, T5, CLIP with T5, T5 with the LoRA and all three together are unknown." in one_t5


def test_one_clip_prompt_leaves_the_loras_share_known():
    found = analyse(randn(0, 4, 1, 3, 3, 9), axes=4)
    assert {part for part, share in found.shares.items() if share is None} == {
        "clip",
        "both",
        "clip_lora",
        "clip_t5_lora",
    }
    assert sum(share for share in found.shares.values() if share is not None) == pytest.approx(1)


# ---- pictures


def test_the_page_has_a_map_for_each_part():
    cells = randn(0, 3, 2, 2, 3, 8, 8, 3) + 2 * randn(1, 1, 1, 1, 3, 8, 8, 3)
    with_loras = page({"pixels": analyse(cells, axes=4)})
    assert with_loras.width == 860 and with_loras.height > page({"pixels": analyse(cells[:, :, :, 0])}).height


@pytest.mark.parametrize("rows, columns, beside", [(1, 4, False), (4, 1, True), (2, 2, False), (4, 2, True)])
def test_sections_stand_beside_each_other_where_they_are_narrow(rows, columns, beside):
    names = ["without LoRA", "a rather long name of a folder/and of a file.safetensors 0.8"]
    small = [[Image.new("RGB", (64, 64)) for _ in range(columns)] for _ in range(rows)]
    texts = ["at night"] * rows, ["a star"] * columns
    lines = max(sheets.title_lines(name, small, texts[1]) for name in names)
    one = sheets.contact_sheet(names[1], small, *texts, least=lines)
    assert one.size == sheets.contact_sheet(names[0], small, *texts, least=lines).size
    both = sections.contact_sheets("Seed 7", [small, small], names, *texts)
    expected = (2 * one.width, one.height) if beside else (one.width, 2 * one.height)
    assert both.size == (expected[0], expected[1] + sections.HEAD)
