"""Lists of blocks: valid and invalid texts, and the presets on FLUX.1's 57 blocks."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_duet.nodes.condition.blocks import PRESETS, Blocks

FLUX = (19, 38)
WORDS = st.one_of(
    st.sampled_from(["all", "none", "double", "single", "final"]),
    st.integers(0, 56).map(str),
    st.tuples(st.integers(0, 56), st.integers(0, 56)).map(lambda ends: f"{min(ends)}-{max(ends)}"),
    st.integers(0, 56).map(lambda first: f"{first}-"),
)


@pytest.mark.parametrize(
    "text, blocks",
    [
        ("0, 5-7", {0, 5, 6, 7}),
        ("double", set(range(19))),
        ("SINGLE", set(range(19, 57))),
        ("54-", {54, 55, 56}),
        ("all", set(range(57))),
        ("none", set()),
        ("final", set()),
        ("", set()),
        ("3 4\n5", {3, 4, 5}),
    ],
)
def test_words(text, blocks):
    assert Blocks.parse(text).within(*FLUX) == blocks


@given(st.lists(WORDS, max_size=5).map(", ".join))
def test_others_are_all_others(text):
    blocks = Blocks.parse(text)
    others = blocks.others()
    assert blocks.within(*FLUX) | others.within(*FLUX) == set(range(57))
    assert not blocks.within(*FLUX) & others.within(*FLUX)
    assert blocks.final != others.final and others.others() == blocks
    assert not (blocks.is_none and (blocks.within(*FLUX) or blocks.final))
    assert not blocks.is_all or (blocks.within(*FLUX) == set(range(57)) and blocks.final)


@pytest.mark.parametrize("word", ["-3", "a", "5--7", "1.5", "d3", "5:7", "\u0663"])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match="in the list of blocks"):
        Blocks.parse(f"0, {word}")


@pytest.mark.parametrize("word, meant", [("4-1", "1-4"), ("56-0", "0-56"), ("10-9", "9-10")])
def test_a_range_that_ends_before_it_begins_says_so(word, meant):
    with pytest.raises(ValueError, match=f"'{word}' in the list of blocks.*names no block; expected {meant}"):
        Blocks.parse(f"double, {word}")


@pytest.mark.parametrize("text, named", [("57", 57), ("60-", 60), ("3, 50-60", 60)])
def test_a_block_that_is_not_there_is_reported(text, named):
    with pytest.raises(ValueError, match=f"names block {named}, but this model has blocks 0 to 56"):
        Blocks.parse(text).within(*FLUX)


@pytest.mark.parametrize("word", ["0-999999999", "999999999", "999999999-", "0-" + "9" * 5000, "9" * 5000, "99999-1"])
def test_a_number_that_no_model_has_is_told_before_anything_is_made_of_it(word):
    """Enumerating all blocks up to it would fill the memory."""
    with pytest.raises(ValueError, match="in the list of blocks .* larger than any model's block number") as caught:
        Blocks.parse(f"double, {word}")
    assert len(str(caught.value)) < 500


def test_a_range_costs_no_memory_until_it_is_known_to_fit():
    many = Blocks.parse(", ".join(f"0-{9999 - at}" for at in range(2000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="names block 9999, but this model has blocks 0 to 56"):
        many.within(*FLUX)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_a_preset_is_known_by_its_name():
    assert Blocks.parse(" vital blocks (Stable Flow) ") == Blocks.parse("0, 1, 17, 18, 25, 28, 53, 54, 56")


def test_presets_are_as_published():
    sizes = {name: len(Blocks.parse(text).within(*FLUX)) for name, text in PRESETS.items()}
    assert sizes == {
        "none": 0,
        "all": 57,
        "double blocks": 19,
        "single blocks": 38,
        "vital blocks (Stable Flow)": 9,
        "content blocks (FreeFlux)": 13,
        "position blocks (FreeFlux)": 7,
        "all but 0-4 and final (modulation guidance)": 52,
    }
