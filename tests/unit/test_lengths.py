"""How T5's token lists are cut; tests/comfy/test_encode.py compares the cut with Hugging Face's."""

import pytest

from flux_duet.nodes.encode.tokens.lengths import COMFYUI, LENGTHS, cut

END = (1, 1.0)


def tokens(count: int) -> list:
    return [*((100 + i, 1.0) for i in range(count - 1)), END]


@pytest.mark.parametrize("count", [1, 5, 8])
def test_what_fits_is_not_touched(count):
    for limit in (8, None):
        assert cut(tokens(count), limit) == (tokens(count), [])


@pytest.mark.parametrize("count", [9, 10, 300])
def test_the_end_token_stays_and_nothing_else_is_lost(count):
    kept, rest = cut(tokens(count), 8)
    assert len(kept) == 8
    assert kept[-1] == END and END not in rest
    assert kept[:-1] + rest + [END] == tokens(count)


def test_modes_are_those_of_the_implementations():
    """BFL: 512 for dev and 256 for schnell, padded and cut. ComfyUI: its CLIP's own minimum, never cut."""
    official = {name: (rule.minimum, rule.limit) for name, rule in LENGTHS.items() if name.startswith("official")}
    assert official == {"official 512": (512, 512), "official 256": (256, 256)}
    assert LENGTHS[COMFYUI].minimum is None and LENGTHS["exact"].minimum == 0
    assert LENGTHS[COMFYUI].limit is None and LENGTHS["exact"].limit is None
    assert next(iter(LENGTHS)) == COMFYUI
