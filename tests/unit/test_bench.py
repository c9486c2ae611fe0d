"""The benchmarks' arithmetic and their writer of weights, without running the benchmarks."""

import os
import random
import threading

import pytest
import torch
from safetensors.torch import load_file

from flux_duet.bench import cold, controls, edit, encoder_files, footprint, graphs, measure, nano
from flux_duet.bench.meaning import lots, reading, regions, switches
from flux_duet.nano import card, layouts, scenes
from flux_duet.nodes.encode.embeddings.store import Store
from flux_duet.nodes.encode.load import layout

TINY = layouts.Shape(clip_layers=3, t5_layers=3)
MB = 10**6


def test_rounds_give_each_side_the_first_place_in_turn():
    assert list(measure.rounds(3)) == [
        (0, "native"),
        (0, "ours"),
        (1, "ours"),
        (1, "native"),
        (2, "native"),
        (2, "ours"),
    ]


def test_ratio_is_taken_round_by_round():
    # The machine is ten times slower in the middle round, which must not change the ratio.
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


def test_memory_is_told_in_bytes():
    lines = measure.compared([measure.Comparison("peak", [19e9], [0.57e9], measure.size)]).splitlines()
    assert lines[2] == "| peak | 19 GB | 570 MB | 0.03 (1/33) | 0.03 (1/33), 0.03 (1/33) |"


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
    shapes = encoder_files.shapes(encoder_files.SCALES["real"])
    parameters = {name: sum(torch.Size(shape).numel() for shape in part.values()) for name, part in shapes.items()}
    # Of openai/clip-vit-large-patch14's text model, and of google/t5-v1_1-xxl's encoder.
    assert parameters == {"clip_l": 123_060_480, "t5xxl": 4_762_310_656}


def test_no_edit_has_words_that_the_embedding_store_could_know():
    seen = [edit.texts(dict.fromkeys(edit.PROMPTS, 0))]
    for kind, texts in edit.edited(3):
        for stream in edit.PROMPTS:
            new = texts[stream] not in {each[stream] for each in seen}
            assert new == (stream in edit.EDITS[kind])
        seen.append(texts)
    assert len(seen) == 1 + 3 * len(edit.EDITS)


def test_report_refuses_sides_that_differ():
    def runs(text):
        return {kind: [graphs.Run(1.0, ("Encode",), text)] for kind in edit.EDITS}

    assert "| CLIP | ours | Encode |" in edit.report({"native": runs("same"), "ours": runs("same")})
    with pytest.raises(ValueError, match="CONDITIONINGs differ"):
        edit.report({"native": runs("one"), "ours": runs("other")})


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "sampled"])
def test_footprint_is_the_peak_of_the_work_alone(monkeypatch, tmp_path, recorded):
    if not recorded:
        monkeypatch.setattr(footprint, "forget_peak", lambda pid: False)
    elif not footprint.forget_peak(os.getpid()):
        pytest.skip("this system keeps no record of the peak")
    looked, resident = threading.Semaphore(0), footprint.resident

    def counted(family):
        try:
            return resident(family)
        finally:
            looked.release()

    monkeypatch.setattr(footprint, "resident", counted)
    file = tmp_path / "file"
    file.write_bytes(b"x" * (5 * MB))
    before = b"x" * (300 * MB)  # a peak before the measured work
    del before
    with footprint.footprint(os.getpid()) as cost:
        held = b"x" * (100 * MB)
        while looked.acquire(blocking=False):
            pass
        for _ in range(0 if recorded else 2):  # the sampler has taken one complete sample
            assert looked.acquire(timeout=60)
        del held
        file.read_bytes()
    assert 90 * MB < cost.memory < 120 * MB
    assert 0 < cost.cpu < 20
    assert cost.read is None or 5 * MB <= cost.read < 6 * MB


def firsts(**changes) -> dict[str, list[cold.First]]:
    """The results of one round of `bench cold`; `changes` are made to the run with the warm store."""
    cost = footprint.Footprint(memory=19 * 10**9, cpu=30.0, read=8 * MB)
    one = {"run": graphs.Run(20.0, (), "same"), "cost": cost, "t5": ("open", "read"), "kept": ()}
    warm = {"run": graphs.Run(1.0, (), "same"), "t5": (), "kept": (4 * MB, 3000), **changes}
    return {
        cold.NATIVE: [cold.First(**one)],
        cold.EMPTY: [cold.First(**{**one, "kept": (4 * MB, 3000)})],
        cold.WARM: [cold.First(**{**one, **warm})],
    }


def test_first_prompts_are_compared_for_both_stores():
    report = cold.report(firsts())
    assert "| time, empty store | 20 s | 20 s | 1.000 |" in report
    assert "| time, warm store | 20 s | 1 s | 0.05 (1/20) |" in report
    assert "| peak memory, warm store | 19 GB | 19 GB | 1.000 |" in report
    assert "| native | 30 s | 8 MB | unknown | opened | none |" in report
    assert "| ours, warm store | 30 s | 8 MB | unknown | never opened | 2, 4 MB |" in report
    assert "not traced on this system" in cold.report(firsts(t5=None))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"run": graphs.Run(1.0, (), "other")}, "CONDITIONINGs of native, empty and warm store differ"),
        ({"t5": ("open",)}, "warm store: T5's file was opened, expected it not to be"),
        ({"kept": (4 * MB,)}, "warm store: got 1 encodings in the store, expected 2"),
    ],
)
def test_first_prompts_with_another_store_than_they_say_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        cold.report(firsts(**changes))


def test_a_trace_that_sees_no_native_reading_is_refused():
    blind = [cold.First(graphs.Run(20.0, (), "same"), footprint.Footprint(1), (), ())]
    with pytest.raises(ValueError, match="native: T5's file was never opened, expected it to be"):
        cold.report({**firsts(), cold.NATIVE: blind})


def test_kept_encodings_are_found_in_a_server_s_user_folder(tmp_path):
    assert cold.kept(tmp_path) == ()
    Store(tmp_path / "user" / "__flux_duet" / "embeddings").put("key", torch.zeros(1, 1000))
    (size,) = cold.kept(tmp_path)
    assert 4000 < size < 5000


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
    expected = [
        scenes.Scene((scenes.Object("red", "circle", place),), "sea") for place in ("left", "right", "top", "left")
    ]
    right = nano.shares(expected, [*expected[:3], expected[1]])
    assert right["place"] == right["everything"] == 0.75
    assert right["colour"] == right["background"] == 1.0


MADE = controls.Prompts(layouts.Shape(), steps=4)


@pytest.mark.parametrize("row", controls.ROWS, ids=lambda row: row.key)
def test_every_control_s_prompt_is_made_and_its_work_known(row):
    work = [controls.computed(each, MADE.shape, 64, MADE.steps) for each in (MADE.plain(row.texts), row.ours(MADE))]
    assert all(value > 0 for value in work)
    if row.target == 1.01:
        assert work[0] == work[1], "the target says that nothing more is computed"


def test_work_counts_the_pairs_that_are_attended():
    # 256 rows and 64 image tokens, all to all; NAG: a second text for itself, and the image once more against it
    assert controls.attended(MADE.shape, 256, (), 64) == 320 * 320
    ((txt, extras),) = controls.t5_negative(MADE)
    acting = controls.controls_of(extras)
    assert controls.attended(MADE.shape, txt.shape[1], acting, 64) == 320 * 320 + 256 * 320 + 64 * 320


LEFT, RIGHT = regions.LAYOUTS["left, right"].values()


def test_things_are_unseen_and_tell_apart():
    rng = random.Random(0)
    for boxes in regions.LAYOUTS.values():
        items = lots.things(rng, tuple(boxes))
        assert [item.place for item in items] == list(boxes) and len({item.colour for item in items}) == len(items)
        assert all(scenes.unseen(scenes.Scene((item,), "")) for item in items)
        assert all(regions.inside(item, box) for item, box in zip(items, boxes.values(), strict=True))
    one = lots.thing(rng, "left")
    other = lots.thing(rng, "top", [one])
    assert one.colour != other.colour and one.shape != other.shape
    captions = [lots.words(one, rng, lots.PLACELESS) for _ in range(20)]
    assert not any("left" in each or "middle" in each for each in captions)


def test_masks_cover_the_picture_once():
    for boxes in regions.LAYOUTS.values():
        assert torch.equal(sum(regions.mask(box) for box in boxes.values()), torch.ones(1, 64, 64))


def test_an_object_counts_in_its_own_half_alone():
    red, blue = scenes.Object("red", "circle", "left"), scenes.Object("blue", "square", "right")
    expected = scenes.Scene((red, blue), "sea")
    seen = scenes.Scene((scenes.Object("red", "star", "left"), scenes.Object("blue", "square", "left")), "sea")
    assert regions.placed_right(expected, seen, (LEFT, RIGHT)) == [
        {"colour": True, "shape": False, "both": False},
        {"colour": False, "shape": False, "both": False},
    ]


def test_paint_is_seen_whatever_its_shape():
    scene = scenes.Scene((scenes.Object("red", "circle", "center"),), "sea")
    picture, bare = scenes.render(scene), scenes.Scene((), "sea")
    assert regions.painted(picture, bare, LEFT) == regions.painted(picture, bare, RIGHT) == "red"
    assert regions.painted(scenes.render(bare), bare, LEFT) is None


def test_a_picture_that_falls_apart_is_not_clean():
    scene = scenes.Scene((scenes.Object("red", "circle", "left"),), "sea")
    assert reading.clean(scenes.render(scene), scene)
    noise = torch.randint(256, (128, 128, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    assert not reading.clean(noise, scene)


@pytest.mark.parametrize(
    "shares, step", [([0, 0, 1, 1], 1.5), ([0, 0.5, 1], 1.0), ([0.5, 1], 0.0), ([0, 0.25, 0.75], 1.5), ([0, 0, 0], 2.0)]
)
def test_a_curve_turns_where_it_crosses_a_half(shares, step):
    assert switches.half_turned(shares) == step


def test_the_model_cards_tables_are_filled_in_place():
    text = "a\n<!-- curve -->\nold\n<!-- /curve -->\nb\n"
    points = [[100 * number, 60 * number, 1 / number] for number in range(1, 41)]
    found = card.filled(text, "curve", card.curve(points, 4))
    assert found == (
        "a\n<!-- curve -->\n| minutes | 10 | 20 | 30 | 40 |\n|---|---|---|---|---|\n"
        "| step | 1,000 | 2,000 | 3,000 | 4,000 |\n| loss | 0.10 | 0.05 | 0.03 | 0.03 |\n<!-- /curve -->\nb\n"
    )  # fmt: skip
    with pytest.raises(ValueError, match="no place other"):
        card.filled(text, "other", "")
    shipped = card.CARD.read_text(encoding="utf-8")
    assert all(card.filled(shipped, name, "x") != shipped for name in ("curve", "followed", "conflict"))
