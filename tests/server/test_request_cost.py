"""A request does not block the server: the interpreter lock is released every few milliseconds."""

import gc
import json
import random
import threading

import pytest

from flux_duet.nodes.routes import http, tokens

ANSWERS = [
    {}, [], {"a": []}, "\u00e9\"\\", None, 1.5, True, {"a": {"b": [1, None, "x"], "c": [[1, 2], [3, 4]]}},
    {"readings": [{"ids": list(range(10_000)), "road": "CLIP"}, {"ids": []}], "notes": ["a"]},
    list(range(3 * http.PIECE)), list(range(http.PIECE)), [*range(http.PIECE), "last"],
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_pieces_make_the_same_json(answer):
    assert http.encoded(answer) == json.dumps(answer, separators=(",", ":"))


def test_no_call_for_json_takes_more_than_a_piece(monkeypatch):
    sizes = []
    dumps = json.dumps
    monkeypatch.setattr(
        http.json,
        "dumps",
        lambda value, **options: sizes.append(len(value) if isinstance(value, list) else 1) or dumps(value, **options),
    )
    http.encoded({"readings": [{"ids": [0] * 100_000}], "flat": [0] * 50_000})
    assert max(sizes) == http.PIECE


def test_collections_wait_for_all_threads_and_come_back():
    assert gc.isenabled()
    inside, leave = threading.Event(), threading.Event()

    def work():
        with http.no_collections:
            inside.set()
            assert leave.wait(60)

    other = threading.Thread(target=work)
    with http.no_collections:
        other.start()
        assert inside.wait(60) and not gc.isenabled()
    assert not gc.isenabled(), "the other thread is still inside"
    leave.set()
    other.join()
    assert gc.isenabled()
    with pytest.raises(KeyError), http.no_collections:
        raise KeyError
    assert gc.isenabled()


def test_who_has_switched_collections_off_keeps_them_off():
    gc.disable()
    try:
        with http.no_collections:
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


TEXTS = {"pairs": "(a)" * 13_333, "signs": "".join(random.Random(1).choices("abc(:). ", k=40_000))}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_longest_texts_leave_nothing_to_collect(text):
    """Objects that a request leaves behind count towards the next full garbage collection."""
    request = tokens.checked({"text": text})
    http.encoded(tokens._answer(request))  # builds tokenizers, which are kept
    gc.collect()
    collected = []
    gc.callbacks.append(lambda phase, info: collected.append(info["generation"]))
    try:
        with http.no_collections:
            http.encoded(tokens._answer(request))
            assert collected == []
        assert gc.collect() < 100
    finally:
        gc.callbacks.pop()


def test_signs_that_stand_for_several_count_as_those():
    with pytest.raises(http.Refused, match="54,000 characters after Unicode normalization"):
        tokens.checked({"text": "\ufdfa" * 3000})
    assert tokens.checked({"text": "\ufdfa" * 1000 + "\U0001f98a" * 1000})["text"]
