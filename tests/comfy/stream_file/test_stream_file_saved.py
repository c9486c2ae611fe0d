"""Save and Load Embedding: loading returns exactly what was saved."""

import re

import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker

from flux_duet.nodes.condition.conditioning import join, split
from flux_duet.nodes.encode.embeddings import stream_file
from flux_duet.nodes.encode.embeddings.nodes import LoadStream, SaveStream
from flux_duet.nodes.streams import ClipVec, Span, T5Text
from flux_duet.tests.comfy.stream_file.files import TEXT, saved


def test_a_saved_prompt_comes_back_bit_for_bit(streams, tmp_path):
    vec, txt = streams
    saved(tmp_path, vec=vec, txt=txt)
    name = "flux_duet/prompt_00001_.safetensors [output]"
    assert LoadStream.validate_inputs(name) is True
    assert LoadStream.define_schema().inputs[0].options == [name]
    loaded_vec, loaded_txt, about = LoadStream.execute(name).args
    (a, b), (c, d) = join(vec, txt, 3.5)[0], join(loaded_vec, loaded_txt, 3.5)[0]
    assert torch.equal(a, c) and a.dtype == c.dtype and torch.equal(b["pooled_output"], d["pooled_output"])
    assert torch.equal(txt.spans[0].bias, loaded_txt.spans[0].bias)
    assert loaded_txt.source.text == TEXT and TEXT in about
    assert loaded_txt.source.tokens == [[tuple(token) for token in chunk] for chunk in txt.source.tokens]
    assert 1.5 in [weight for _, weight in loaded_txt.source.tokens[0]]
    assert loaded_vec.source.encoder() == vec.source.encoder()
    assert len(loaded_vec.source.encoder()["content"]) == 64


def test_the_same_file_again_is_written_beside(streams, tmp_path):
    for _ in range(2):
        SaveStream.execute("same", vec=streams[0])
    assert len(list((tmp_path / "output").glob("same_*_.safetensors"))) == 2


def test_a_name_is_filled_in_as_comfyui_s_own_savers_do(streams, tmp_path):
    SaveStream.execute("%year%-%month%/at_%hour%", vec=streams[0])
    (path,) = tmp_path.glob("output/*/*.safetensors")
    year, month = path.parent.name.split("-")
    assert year.isdigit() and len(month) == 2 and re.fullmatch(r"at_\d\d_00001_\.safetensors", path.name)


def test_a_null_character_in_a_name_is_refused(streams):
    assert "contains a null character" in SaveStream.validate_inputs("a\0b")
    with pytest.raises(ValueError, match="Save Embedding: .*contains a null character"):  # from a link
        SaveStream.execute("a\0b", vec=streams[0])


@pytest.mark.parametrize("name", ["%width%", "a/%width%x%height%", "%height%_b"])
def test_a_picture_s_size_is_refused_where_there_is_no_picture(name, streams, tmp_path):
    assert "an embedding has no picture" in SaveStream.validate_inputs(name)
    with pytest.raises(ValueError, match=r"Save Embedding: .* contains %\w+%.*%EmptySD3LatentImage\.(width|height)%"):
        SaveStream.execute(name, vec=streams[0])
    assert list((tmp_path / "output").rglob("*")) == []
    for fine in ("a", "%year%", "width", None):
        assert SaveStream.validate_inputs(fine) is True


def test_one_stream_stops_only_those_who_ask_for_the_other(streams, tmp_path):
    saved(tmp_path, "only", txt=streams[1])
    vec, txt, _ = LoadStream.execute("only_00001_.safetensors [output]").args
    assert isinstance(vec, ExecutionBlocker) and "has no `vec`" in vec.message
    assert isinstance(txt, T5Text)


def test_streams_of_native_nodes_have_no_text(streams, tmp_path):
    vec, txt, _ = split(join(*streams, 3.5))
    saved(tmp_path, "split", vec=vec, txt=txt)
    assert "text unknown" in LoadStream.execute("split_00001_.safetensors [output]").args[2]


def test_times_are_kept_and_objects_refused(tmp_path):
    tensor = torch.zeros(1, 768)
    times = [{"clip_start_percent": 0.0, "clip_end_percent": 0.4}, {"clip_start_percent": 0.4, "clip_end_percent": 1.0}]
    path = saved(tmp_path, vec=ClipVec(tuple(Span(tensor, each) for each in times)))  # one tensor for both
    loaded = stream_file.load(path).streams["vec"]
    assert [span.extras for span in loaded.spans] == times and torch.equal(loaded.spans[1].tensor, tensor)
    with pytest.raises(ValueError, match="has 'hooks'.*add hooks"):
        SaveStream.execute("x", vec=ClipVec((Span(tensor, {"hooks": object()}),)))
    with pytest.raises(ValueError, match="not finite"):
        SaveStream.execute("x", vec=ClipVec((Span(tensor / 0),)))
    with pytest.raises(ValueError, match="neither `vec` nor `txt`"):
        SaveStream.execute("x")
    assert len(list((tmp_path / "output").rglob("*"))) == 2  # the folder and the one file: no partial file


def test_places_outside_are_refused(streams, tmp_path):
    with pytest.raises(Exception, match="outside the output folder"):
        SaveStream.execute("../escaped", vec=streams[0])
    path = saved(tmp_path, vec=streams[0])
    stranger = path.rename(tmp_path / "stranger.safetensors")
    (tmp_path / "input" / "link.safetensors").symlink_to(stranger)
    for name in ("../stranger.safetensors", str(stranger), "../stranger.safetensors [output]", "link.safetensors"):
        assert "was not found" in LoadStream.validate_inputs(name)
        with pytest.raises(ValueError, match="Invalid file path"):
            LoadStream.execute(name)
