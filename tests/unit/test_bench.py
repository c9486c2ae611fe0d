"""The benchmarks' arithmetic and their writer of weights; the figures themselves come from running them."""

import random

import pytest
import torch
from safetensors.torch import load_file

from flux_duet.bench import edit, encoder_files, measure, nano
from flux_duet.nano import layouts, scenes
from flux_duet.nodes.encode.load import layout

TINY = layouts.Shape(clip_layers=3, t5_layers=3)


def test_rounds_give_each_side_the_first_place_in_turn():
    assert list(measure.rounds(3)) == [
        (0, "native"), (0, "ours"), (1, "ours"), (1, "native"), (2, "native"), (2, "ours")]


def test_ratio_is_taken_round_by_round():
    # The machine is ten times slower in the middle round; that is not ours to pay for.
    compared = measure.Comparison("a step", native=[1.0, 10.0, 2.0], ours=[1.0, 10.0, 3.0])
    assert compared.ratios == [1.0, 1.0, 1.5]
    assert compared.ratio == 1.0


@pytest.mark.parametrize("native, ours", [([], []), ([1.0], [1.0, 2.0])])
def test_rounds_without_a_pair_are_refused(native, ours):
    with pytest.raises(ValueError, match="a pair for every round"):
        measure.Comparison("a step", native, ours)


def test_results_are_a_markdown_table():
    lines = measure.compared([measure.Comparison("edit of CLIP", [20.0, 40.0], [0.1, 0.2])]).splitlines()
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert lines[2] == "| edit of CLIP | 30 s | 150 ms | 0.005 (1/200) | 0.005 (1/200), 0.005 (1/200) |"


def test_streamed_file_is_the_tensors(tmp_path):
    tensors = {"a": torch.randn(3, 5).to(encoder_files.DTYPE), "b.c": torch.randn(7).to(encoder_files.DTYPE)}
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    encoder_files.stream(tmp_path / "x.safetensors", shapes, tensors.__getitem__)
    read = load_file(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_tensor_of_another_shape_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"a: got torch.bfloat16 \[2\], expected torch.bfloat16 \[3\]"):
        encoder_files.stream(tmp_path / "x.safetensors", {"a": (3,)}, lambda key: torch.zeros(2).bfloat16())
    assert not (tmp_path / "x.safetensors").exists()


def test_encoders_have_every_layer_and_the_first_ones_numbers(tmp_path):
    names = encoder_files.write(tmp_path, TINY)
    clip, t5 = (load_file(tmp_path / names[name]) for name in encoder_files.ENCODERS)
    assert layout.check(encoder_files.shapes(TINY)["clip_l"], layout.CLIP_L, "clip_l")["num_hidden_layers"] == 3
    assert {key: tuple(value.shape) for key, value in t5.items()} == encoder_files.shapes(TINY)["t5xxl"]
    key = "encoder.block.{}.layer.1.DenseReluDense.wo.weight"
    assert torch.equal(t5[key.format(2)], t5[key.format(0)]) and t5[key.format(0)].float().std() > 0
    assert encoder_files.size(TINY) == sum(value.nbytes for part in (clip, t5) for value in part.values())


def test_real_scale_is_clip_l_and_t5_xxl():
    shapes = encoder_files.shapes(edit.SCALES["real"])
    parameters = {name: sum(torch.Size(shape).numel() for shape in part.values()) for name, part in shapes.items()}
    # Of openai/clip-vit-large-patch14's text model, and of google/t5-v1_1-xxl's encoder.
    assert parameters == {"clip_l": 123_060_480, "t5xxl": 4_762_310_656}


def test_report_refuses_sides_that_differ():
    def runs(text):
        return {kind: [edit.Run(1.0, ("Encode",), text)] for kind in edit.EDITS}

    assert "| CLIP | ours | Encode |" in edit.report({"native": runs("same"), "ours": runs("same")})
    with pytest.raises(ValueError, match="CONDITIONINGs differ"):
        edit.report({"native": runs("one"), "ours": runs("other")})


def test_prompts_for_judging_follow_the_seed_and_are_unseen():
    for case in nano.CASES:
        first, again = (nano.drawn_by_lot(case, 5, random.Random("0/1")) for _ in range(2))
        assert first == again
        assert all(map(scenes.unseen, first))
        assert all(bool(scene.relation) for scene in first) or not case.related
        assert set(case.columns) <= set(nano.COLUMNS)


def test_a_conflict_is_won_by_whose_word_is_drawn():
    t5 = scenes.Scene((scenes.Object("red", "circle", "left"),), "sea")
    clip = scenes.Scene((scenes.Object("blue", "circle", "right"),), "snow")
    seen = scenes.Scene((scenes.Object("red", "star", "right"),), "night")
    winners = {name: nano.winner(name, t5, clip, seen) for name in ("colour", "place", "shape", "background")}
    assert winners == {"colour": "T5", "place": "CLIP", "shape": None, "background": "neither"}
    assert nano.winner("colour", t5, clip, scenes.Scene((), "sea")) == "neither"  # nothing was drawn


def test_shares_count_pictures():
    told = [scenes.Scene((scenes.Object("red", "circle", place),), "sea") for place in ("left", "right", "top", "left")]
    right = nano.shares(told, [*told[:3], told[1]])
    assert right["place"] == right["everything"] == 0.75
    assert right["colour"] == right["background"] == 1.0
