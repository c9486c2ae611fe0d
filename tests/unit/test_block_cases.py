"""Lists of blocks that Python and the front end must read alike; tests/browser/test_blocks.py has the other half."""

import json
from pathlib import Path

import pytest

from flux_duet.nodes.condition.blocks import Blocks

CASES = json.loads(Path(__file__).parents[1].joinpath("blocks.json").read_text("utf-8"))
FLUX = (19, 38)


def numbers(blocks: str | list[int]) -> set[int]:
    """Of a case: each of them, or from the first to the last."""
    if isinstance(blocks, list):
        return set(blocks)
    first, last = map(int, blocks.split("-"))
    return set(range(first, last + 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["text"]))
def test_a_list_of_blocks_is_read_as_agreed(case):
    if "wrong" in case:
        with pytest.raises(ValueError, match=case["wrong"]):
            Blocks.parse(case["text"])
        return
    blocks = Blocks.parse(case["text"])
    if case.get("beyond"):
        with pytest.raises(ValueError, match="but this model has blocks 0 to 56"):
            blocks.within(*FLUX)
        return
    assert blocks.within(*FLUX) == numbers(case["blocks"])
    assert blocks.final == case.get("final", False)
