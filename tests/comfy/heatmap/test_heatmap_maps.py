"""Token Heatmap in the real model: every map equals the dense softmax."""

import comfy.ldm.modules.attention as attention
import pytest
import torch

from flux_duet.nodes.probe.heat import lse
from flux_duet.nodes.sample.attention import with_heads
from flux_duet.tests.comfy.heatmap.runs import (
    dense,
    prompt,
    rows_of,
    watched,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]


@pytest.mark.parametrize("txt", ["txt", "weighted"])
def test_every_map_is_the_dense_softmaxs(model, streams, backend, txt):
    ids = [token for chunk in streams[txt].source.tokens for token, _ in chunk]
    reading, _ = watched(model, streams[txt], prompt(streams, txt), "red, circle\nredder, night")
    tokens = {"red": "red", "circle": "circle", "redder": "redder", "night": "night"}
    assert reading.words == tuple(tokens)
    rows = rows_of(streams[txt], reading.words)
    expected = dense(model, prompt(streams, txt), rows)
    assert (reading.maps[:, :, 0] - expected).abs().max() < 1e-6
    assert (reading.maps.mean(-1)[:, :, 0] - reading.groups[:, :, 0, :4]).abs().max() < 1e-6
    exact = reading.groups[:, :, 0, :4]
    assert (exact - expected.mean(-1)).abs().max() < 1e-6
    assert len(ids) == 256


@pytest.mark.parametrize("shape", [(1, 1, 1, 40), (40, 40), (2, 40, 40), (2, 3, 40, 40), None])
def test_shares_are_exact(shape):
    """With each attention of ComfyUI: the maps equal the dense softmax to 1e-6, and a row's shares add up to 1."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 3, 40, 16, generator=generator) for _ in range(3))
    mask = None if shape is None else torch.randn(shape, generator=generator)
    logits = q @ k.mT / 4 + (0 if mask is None else with_heads(mask, torch.float32))
    for name in ("attention_pytorch", "attention_basic", "attention_split", "attention_sub_quad"):
        watching, native = lse.Attention(), getattr(attention, name)
        for _ in range(2):
            out, found = watching(native, q, k, v, (3,), mask, {"skip_reshape": True})
            assert torch.equal(out, native(q, k, v, 3, mask=mask, skip_reshape=True))
            assert (found - logits.logsumexp(-1)).abs().max() < 2e-6
        share = lse.shares(q, k, found, None if mask is None else with_heads(mask, torch.float32))
        assert (share - logits.softmax(-1)).abs().max() < 1e-6 and (share.sum(-1) - 1).abs().max() < 2e-6


def test_a_fused_kernel_that_differs_is_not_used(monkeypatch):
    monkeypatch.setattr(lse, "_on_cpu", lambda q, k, v, mask: (v * 2, q[..., 0]))
    q, k, v = (torch.randn(1, 2, 9, 8) for _ in range(3))
    watching = lse.Attention()
    for _ in range(2):
        out, found = watching(attention.attention_pytorch, q, k, v, (2,), None, {"skip_reshape": True})
        assert torch.equal(out, attention.attention_pytorch(q, k, v, 2, skip_reshape=True))
        assert torch.allclose(found, (q @ k.mT / 8**0.5).logsumexp(-1), atol=1e-5)
