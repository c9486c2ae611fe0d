"""LoRA Anatomy's algebra against dense matrices, and what it says and draws."""

import pytest
import torch

from flux_duet.nodes.condition.blocks import Depth
from flux_duet.nodes.lora.parts import CLIP_ENCODER, CLIP_STREAM, IMAGE, JOINT, PARTS, Place
from flux_duet.nodes.palette import LIGHT
from flux_duet.nodes.probe.lora import algebra, draw
from flux_duet.nodes.probe.lora.algebra import Kronecker, LowRank
from flux_duet.nodes.probe.lora.reading import Comparison, LoraReading, WeightChange, as_json, sentence, table

RANDOM = torch.Generator().manual_seed(0)
SHAPE = (24, 12)
DEPTH = Depth(2, 3)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=RANDOM)


CHANGES = {
    "low rank": [LowRank(randn(24, 3), randn(3, 12), 0.5)],
    "rows": [LowRank(randn(8, 3), randn(3, 12), 0.5, 8), LowRank(randn(8, 2), randn(2, 12), 2.0)],
    "overlapping rows": [LowRank(randn(24, 3), randn(3, 12), 0.5), LowRank(randn(8, 2), randn(2, 12), -1.0, 16)],
    "a rank above both sides": [LowRank(randn(24, 20), randn(20, 12), 1.0)],
    "Kronecker": Kronecker(randn(4, 3), randn(6, 4), 0.7, (3, 4)),
    "other factors": Kronecker(randn(6, 4), randn(4, 3), 0.7, (4, 3)),
    "dense": randn(*SHAPE),
}


@pytest.mark.parametrize("one", CHANGES)
@pytest.mark.parametrize("other", CHANGES)
def test_inner_products(one, other):
    a, b = (algebra.dense(CHANGES[name], SHAPE).double() for name in (one, other))
    assert algebra.inner(CHANGES[one], CHANGES[other], SHAPE) == pytest.approx(float((a * b).sum()), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", CHANGES)
def test_effective_rank(name):
    found = algebra.effective_rank(CHANGES[name])
    squares = torch.linalg.svdvals(algebra.dense(CHANGES[name], SHAPE).double()).square()
    if name == "dense":
        assert found is None
    else:
        assert found[0] == pytest.approx(float(squares.sum() ** 2 / squares.square().sum()), rel=1e-4)
        assert found[0] <= found[1] <= 12


def test_effective_rank_of_equal_directions_is_their_number():
    up = torch.linalg.qr(randn(24, 5))[0]
    down = torch.linalg.qr(randn(12, 5))[0].T
    assert algebra.effective_rank([LowRank(up, down, 3.0)])[0] == pytest.approx(5, rel=1e-4)
    assert algebra.effective_rank([LowRank(up[:, :1], down[:1], 3.0)]) == (pytest.approx(1), 1)
    assert algebra.effective_rank([LowRank(0 * up, down, 3.0)]) is None


def reading(name="style.safetensors", **changes: float) -> LoraReading:
    """Changes of 1 % by place: `joint3=0.01`; weights have norm 100, and their squares add up."""
    found = []
    for key, share in changes.items():
        part, _, block = key.partition("__")
        place = Place(part, int(block) if block else None)
        found.append(WeightChange(f"{key}.weight", place, 100 * share, 100.0, (2.0, 4)))
    held = {CLIP_STREAM: 8, "t5_stream": 9, IMAGE: 10, JOINT: 6}
    return LoraReading(name, found, DEPTH, held, 3 * len(found), ["a", "b"])


def test_sentence():
    found = reading(joint__3=0.04, joint__4=0.0, image__0=0.03, clip_stream=0.0)
    assert sentence([found], None) == (
        "style.safetensors changes 4 of 33 weights, by 2.5 % of their norm. Of its change, 64 % is in the attention "
        "and MLP of the single blocks and 36 % in the image layers. Block 3 changes the most: by 4.0 %. Its "
        "effective rank is 2.0 of 4 on average. It does not change the CLIP stream or the T5 stream. Not connected: "
        "CLIP-L encoder and T5 encoder. 2 of its 12 tensors have no effect here."
    )
    assert found.share(found.total(JOINT)) == pytest.approx(0.64)
    assert found.total(JOINT).relative == pytest.approx(0.04 / 2**0.5)


def test_sentence_of_two():
    pair = reading(image__0=0.03), reading("other", image__0=0.03, joint__2=0.01)
    told = sentence(pair, Comparison(*pair, {IMAGE: -0.5}, -0.001))
    assert told.count("\n") == 2  # a paragraph for each file, and one for both
    assert told.endswith(
        "The cosine similarity of the two changes is 0.00. It is furthest from 0 in the image layers: -0.50."
    )
    assert sentence(pair, Comparison(*pair)).endswith("The two LoRAs have no changed weight in common.")


def test_json_and_table():
    found = reading(joint__3=0.04, image__0=0.03, clip_encoder=0.01)
    data = as_json([found], None, "x")["files"][0]
    assert set(data["parts"]) == set(PARTS) and data["unused"] == ["a", "b"]
    assert [(each["part"], each["block"]) for each in data["blocks"]] == [
        (CLIP_ENCODER, None), (IMAGE, 0), (JOINT, 3)]  # fmt: skip
    assert data["parts"][JOINT] == {
        "held": 6, "changed": 1, "change": 4.0, "own": 100.0, "relative": 0.04, "share": pytest.approx(16 / 26),
        "effective rank": 2.0, "rank": 4.0,
    }  # fmt: skip
    assert "| joint | 1 of 6 | 4.0 % | 62 % | 2.0 of 4 |" in table([found], None)
    assert "| image | -0.200 |" in table([found, found], Comparison(found, found, {IMAGE: -0.2}, 0.3))
    assert table([found, found], Comparison(found, found)).endswith("The two LoRAs have no changed weight in common.")


def test_picture():
    """A darker cell for a larger change, an outline where nothing is touched, and nothing where no weight is."""
    found = reading(joint__2=0.01, joint__3=0.04, image__0=0.03)
    page = draw.plot([found], None)
    columns = draw._Columns(found)

    def cell(part: str, block: int | None) -> tuple[int, int, int]:
        left, top, right, bottom = columns.box(block, draw.HEAD + draw.ROW * draw.ROWS.index(part))
        return page.getpixel((round((left + right) / 2), round((top + bottom) / 2)))

    assert sum(cell(JOINT, 3)) < sum(cell(JOINT, 2)) < sum(LIGHT.paper)
    assert cell(IMAGE, 1) == cell(JOINT, 4) == LIGHT.paper
    left, top, *_ = columns.box(1, draw.HEAD + draw.ROW * draw.ROWS.index(IMAGE))
    assert page.getpixel((round(left), round(top))) == LIGHT.rule
    assert not columns.exists(IMAGE, 3) and not columns.exists(JOINT, 0) and columns.exists(CLIP_STREAM, 4)
    assert not columns.exists(CLIP_ENCODER, None)  # not connected


def test_two_files_are_below_each_other():
    found = reading(image__0=0.03)
    one, two = draw.plot([found], None), draw.plot([found, found], Comparison(found, found, {IMAGE: 1.0}, 1.0))
    assert one.width == two.width and two.height > 2 * one.height - 60
    assert draw.plot([reading()], None).height == one.height
