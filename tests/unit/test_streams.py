"""A stream accepts tensors of its own shape, and its error names the other stream if it gets those."""

import dataclasses

import pytest
import torch

from flux_duet.nodes.streams import ClipVec, Span, T5Text

VEC, TXT = torch.zeros(2, 768), torch.zeros(2, 256, 4096)


@pytest.mark.parametrize(("stream", "tensor"), [(ClipVec, VEC), (T5Text, TXT)])
def test_a_stream_keeps_its_spans(stream, tensor):
    spans = (Span(tensor, {"hooks": "a"}), Span(tensor))
    assert stream(spans).spans is spans
    assert stream(spans).spans[1].extras == {}


@pytest.mark.parametrize(("stream", "tensor"), [(ClipVec, TXT), (T5Text, VEC), (ClipVec, VEC[0]), (T5Text, TXT[None])])
def test_the_other_streams_tensor_is_named_with_its_shape(stream, tensor):
    with pytest.raises(ValueError) as error:
        stream((Span(tensor),))
    for words in (stream.__name__, str(list(tensor.shape)), stream.shape, "CLIP-L Encode", "T5 Encode"):
        assert words in str(error.value)


def test_every_span_is_checked():
    with pytest.raises(ValueError, match="T5Text"):
        T5Text((Span(TXT), Span(VEC)))


@pytest.mark.parametrize("stream", [ClipVec, T5Text])
def test_a_stream_without_spans_is_refused(stream):
    with pytest.raises(ValueError, match=stream.__name__):
        stream(())


def test_streams_are_frozen_and_compare_by_identity():
    """ComfyUI passes one output to many nodes; comparing tensors with == would raise."""
    one, other = ClipVec((Span(VEC),)), ClipVec((Span(VEC),))
    assert one != other and one == one and len({one, other}) == 2
    for value, name in ((one, "spans"), (one.spans[0], "tensor")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
