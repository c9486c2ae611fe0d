"""Texts of their own: all groups of queries together are one dense attention with an L x L bias that is never made."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from flux_duet.nodes.condition.blocks import Blocks, Depth
from flux_duet.nodes.condition.controls import Bias, Nag, PlacedText
from flux_duet.nodes.sample.attention import DuetAttention, steered
from flux_duet.nodes.sample.attention_groups import (
    CHUNK,
    SHARED,
    Texts,
    TokenLayout,
    columns_of,
    cropped,
    on_tokens,
    owners,
    weighted_columns,
)

HEADS, WIDTH = 2, 16
H, W = 12, 10


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sdpa(q, k, v, heads, mask=None, **_):
    """In the layout of ComfyUI's attention."""
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.transpose(1, 2).flatten(2)


BASE = 6  # rows of the first text


def text(length: int, **fields) -> PlacedText:
    return PlacedText(torch.zeros(1, length, 1), **fields)


def against(length: int, **fields) -> Nag:
    return Nag(torch.zeros(1, length, 1), **fields)


def starts_of(texts: list[PlacedText], base: int = BASE) -> list[int]:
    """The first row of each text, in order after the first text; and the end of the last."""
    return [base + sum(each.length for each in texts[:at]) for at in range(len(texts) + 1)]


def weighed(texts: list[PlacedText], bias: torch.Tensor | None, base: int = BASE) -> list[PlacedText]:
    """Each with its own part of a bias of all columns."""
    starts = starts_of(texts, base)
    return (
        texts
        if bias is None
        else [
            replace(each, bias=bias[:, start:end]) for each, (start, end) in zip(texts, pairwise(starts), strict=True)
        ]
    )


def layout_of(
    texts: list[PlacedText], height: int = H, width: int = W, references: int = 0, base: int = BASE
) -> TokenLayout:
    return TokenLayout(base + sum(each.length for each in texts), height, width, references)


def dense_bias(texts, active, bias, layout, batch) -> torch.Tensor:
    """[B, L, L], by the definition in the docstrings, token by token."""
    table = torch.full((batch, layout.total, layout.total), -torch.inf)
    starts = [0, *starts_of(texts)]
    over = Texts(texts, layout, batch)
    seen, views = over.shares(active), over.text_view()
    columns = torch.zeros(batch, layout.txt) if bias is None else bias
    image = slice(layout.txt, layout.txt + layout.image)
    references = slice(image.stop, layout.total)
    for number, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        own = slice(start, end)
        table[:, own, own] = columns[:, None, own]
        table[:, own, image] = views[:, number, None].log()
        table[:, own, references] = 0
        table[:, image, own] = seen[:, number, :, None].log() + columns[:, None, own]
    table[:, references, :BASE] = columns[:, None, :BASE]
    table[:, image.start :, image.start :] = 0
    return table


def box(*, soft: bool = False, batch: int = 1) -> torch.Tensor:
    mask = torch.zeros(batch, 24, 20)
    mask[:, 4:16, 3:17] = 1
    if soft:
        mask = torch.nn.functional.avg_pool2d(mask[:, None], 7, 1, 3)[:, 0]
    for index in range(batch):
        mask[index] = mask[index].roll(3 * index, 1)
    return mask


left, right = torch.zeros(1, 6, 6), torch.zeros(1, 6, 6)
left[..., :3], right[..., 3:] = 1, 1
SCENES = {
    "one region": [text(5, mask=box())],
    "soft": [text(5, mask=box(soft=True), ratio=0.2)],
    "two, side by side": [text(5, mask=left), text(7, mask=right, strength=1.5, ratio=0.3)],
    "overlapping": [text(5, mask=box(soft=True)), text(3, mask=left, ratio=0.5)],
    "everywhere": [text(5)],
    "a region over a route": [text(5), text(4, mask=left, inside=1, ratio=0.25)],
    "a negative": [text(4, mask=left), against(6)],
    "a mask for each picture": [text(5, mask=box(batch=2)), text(5, mask=box(soft=True, batch=2))],
    "empty for one picture": [text(5, mask=torch.stack([box()[0], torch.zeros(24, 20)]))],
    "gradient": [text(5, mask=torch.linspace(0, 1, 120).reshape(1, 12, 10))],
}


@pytest.mark.parametrize("references", [0, 9])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scene", SCENES)
def test_groups_are_one_dense_attention(scene, weighted, references):
    texts, batch = SCENES[scene], 2
    layout = layout_of(texts, references=references)
    bias = randn(9, batch, layout.txt) if weighted else None
    if weighted:
        bias[:, 2] = -torch.inf
    q, k, v = (randn(seed, batch, HEADS, layout.total, WIDTH) for seed in (1, 2, 3))
    active = [True] * len(texts)
    mask = dense_bias(texts, active, bias, layout, batch)[:, None]
    dense = torch.softmax(q @ k.mT / WIDTH**0.5 + mask, -1) @ v
    texts = [replace(each, alpha=0.0) if isinstance(each, Nag) else each for each in texts]
    controls = (*weighed(texts, bias), *([Bias(bias[:, :BASE])] if weighted else []))
    attention = DuetAttention(controls, layout_of(texts), Depth(1, 1))
    out = attention(sdpa, q, k, v, HEADS, transformer_options={"block_type": "double", "block_index": 0})
    assert torch.allclose(out, dense.transpose(1, 2).flatten(2), atol=2e-6)
    found = Texts(texts, layout, batch).groups(active, bias)
    rows = torch.cat([group.rows for group in found])
    assert rows.sort().values.tolist() == list(range(layout.total)), "every token is a query exactly once"
    assert all(group.bias() is None or group.bias().shape[2] <= CHUNK for group in found)
    held = sum(each.numel() for group in found for each in (group.row, group.texts) if each is not None)
    assert held < layout.total**2 / 2, "no L x L bias is held"


def test_alike_tokens_share_one_row_of_bias():
    texts = [text(5, mask=left)]
    hard = Texts(texts, layout_of(texts, 32, 32), 1).groups([True], None)
    sizes = [len(group.rows) for group in hard if len(group.rows) >= SHARED]
    assert sizes == [512, 518], "the base's own rows see what the other half sees"
    assert all(group.bias() is None for group in hard if len(group.rows) >= SHARED), "columns of weight 0 are left out"


def test_blocks_choose_who_is_seen():
    routed = text(5, blocks=Blocks.parse("1"))
    layout = layout_of([routed])
    q, k, v = (randn(seed, 1, HEADS, layout.total, WIDTH) for seed in (1, 2, 3))
    attention = DuetAttention((routed,), layout, Depth(1, 1))
    image = slice(layout.txt, None)
    for block, columns in (("double", [*range(6)]), ("single", [*range(6, 11)])):
        out = attention(sdpa, q, k, v, HEADS, transformer_options={"block_type": block, "block_index": 0})
        seen = columns + list(range(11, layout.total))
        assert torch.allclose(out[:, image], sdpa(q[:, :, image], k[:, :, seen], v[:, :, seen], HEADS), atol=1e-6)


def test_a_native_mask_still_masks():
    texts = [text(5, mask=left, ratio=0.3)]
    layout = layout_of(texts)
    q, k, v = (randn(seed, 1, HEADS, layout.total, WIDTH) for seed in (1, 2, 3))
    given = randn(4, layout.total, layout.total)
    mask = dense_bias(texts, [True], None, layout, 1)[:, None] + given
    dense = torch.softmax(q @ k.mT / WIDTH**0.5 + mask, -1) @ v
    attention = DuetAttention(tuple(texts), layout, Depth(1, 1))
    options = {"block_type": "double", "block_index": 0}
    out = attention(sdpa, q, k, v, HEADS, mask=given, transformer_options=options)
    assert torch.allclose(out, dense.transpose(1, 2).flatten(2), atol=2e-6)


@pytest.mark.parametrize("size", [(12, 10), (13, 7), (64, 64), (5, 3), (1, 1)])
def test_a_full_mask_is_full_at_any_size(size):
    assert torch.equal(on_tokens(torch.ones(1, 24, 20), *size), torch.ones(1, size[0] * size[1]))
    half = torch.zeros(1, 24, 20)
    half[:, :12] = 1
    assert on_tokens(half, *size).mean().item() == pytest.approx(0.5)


def test_steered_is_the_papers():
    z, away = randn(1, 2, 5, 8), randn(2, 2, 5, 8)
    kind = against(1, scale=4.0, tau=1.5, alpha=0.3)
    guided = 4 * z - 3 * away
    ratio = guided.abs().sum(-1, keepdim=True) / z.abs().sum(-1, keepdim=True)
    limited = torch.where(ratio > 1.5, guided * 1.5 / ratio, guided)
    assert torch.allclose(steered(z, away, kind), 0.3 * limited + 0.7 * z, atol=1e-6)
    assert torch.equal(steered(z, away, against(1, scale=9.0, alpha=0.0)), z)


def test_texts_lie_over_each_other_like_paint():
    """By hand: a region of ratio .2, then one that covers half of it with ratio .5, and what lies inside the first."""
    first_token = torch.tensor([[[1.0, 0.0]]])
    over = text(2, mask=first_token, strength=3.0, ratio=0.5)
    texts = [text(2, ratio=0.2), over, text(2, mask=first_token * 0.5, inside=2)]
    layout = TokenLayout(8, 1, 2)
    weights = Texts(texts, layout, 1).shares([True] * 3)[0]
    assert torch.allclose(weights[:, 0], torch.tensor([0.2 * 0.5 * 0.5, 0.5 * 0.5, 3.0 * 0.5, 0.5]))
    assert torch.allclose(weights[:, 1], torch.tensor([0.2, 1.0, 0.0, 0.0]))
    off = Texts(texts, layout, 1).shares([True, False, True])[0]
    assert torch.allclose(off[:2], torch.tensor([[0.2, 0.2], [1.0, 1.0]]))
    assert not off[2:].any(), "what it is inside of is off"


def test_rows_that_others_add_are_the_first_text_s():
    """ConditioningConcat appends rows to the prompt's; placed texts follow after all of these, unweighted."""
    texts = [text(5, mask=left), text(3, bias=torch.ones(1, 3))]
    assert owners(8, texts).tolist() == [0] * 8 + [1] * 5 + [2] * 3
    assert columns_of(8, texts, 1).tolist() == [13, 14, 15]
    weights = weighted_columns(8, torch.full((1, 6), 2.0), texts, 2)
    assert weights.tolist() == [[2.0] * 6 + [0.0] * 7 + [1.0] * 3] * 2
    assert weighted_columns(8, None, texts[:1], 2) is None


@pytest.mark.parametrize("area", [(12, 10, 0, 0), (6, 10, 6, 0), (4, 6, 2, 4)])
def test_a_mask_cropped_is_that_part_of_it(area):
    """Of a mask of any size over the picture: on the crop's tokens it is what those tokens had before."""
    mask = box(soft=True)
    height, width, top, left = area
    whole = on_tokens(mask, 6, 5).unflatten(1, (6, 5))  # a latent of 12 x 10
    part = on_tokens(cropped(mask, (12, 10), area), height // 2, width // 2).unflatten(1, (height // 2, width // 2))
    assert torch.allclose(part, whole[:, top // 2 : (top + height) // 2, left // 2 : (left + width) // 2], atol=1e-6)
