"""Which changes of a node break shared workflows, on test nodes: breaches are reported, additions are allowed."""

from copy import deepcopy

import pytest

from flux_duet.devtools.schema_rules import breaches


def socket(name: str, kind: str = "MODEL", optional: bool = False) -> dict:
    made = dict.fromkeys(("options", "range", "slots"))
    return {"name": name, "type": kind, "optional": optional, "widgets": 0, "has_default": False, **made}


def widget(name: str, kind: str = "INT", optional: bool = False, places: int = 1, **more) -> dict:
    return {**socket(name, kind, optional), "widgets": places, "has_default": True, **more}


INPUTS = [
    socket("model"),
    widget("steps", range=[1, 100]),
    widget("seed", places=2),
    widget("mode", "COMBO", options=["a", "b"]),
    widget("late", "FLOAT", optional=True),
    {**socket("vecs", "COMFY_AUTOGROW_V3"), "slots": ["vec1", "vec2"]},
]
NODE = {"inputs": INPUTS, "outputs": [{"name": "x", "type": "IMAGE"}], "is_output_node": True}
STEPS, SEED, MODE, LATE, VECS = 1, 2, 3, 4, 5


def changed(change) -> list[str]:
    now = {"N": deepcopy(NODE), "M": deepcopy(NODE)}
    change(now, now["N"]["inputs"])
    return breaches({"N": NODE, "M": NODE}, now)


def add(at: int, one: dict):
    return lambda now, inputs: inputs.insert(at, one)


def put(at: int, **what):
    return lambda now, inputs: inputs[at].update(what)


GROWTH = {
    "nothing": lambda now, inputs: None,
    "a new node": lambda now, inputs: now.update(K=NODE),
    "an optional widget at the end": add(9, widget("new", optional=True)),
    "an optional socket anywhere": add(0, socket("new", optional=True)),
    "an output at the end": lambda now, inputs: now["N"]["outputs"].append({"name": "y", "type": "MASK"}),
    "another option": put(MODE, options=["c", "b", "a"]),
    "a wider range": put(STEPS, range=[0, None]),
    "no range": put(STEPS, range=None),
    "one more slot": put(VECS, slots=["vec1", "vec2", "vec3"]),
    "a socket in another place": lambda now, inputs: inputs.append(inputs.pop(0)),
    "a required socket that is optional now": put(0, optional=True),
    "an output's other name": lambda now, inputs: now["N"]["outputs"][0].update(name="picture"),
}
BREACHES = {
    "a node that is gone": (lambda now, inputs: now.pop("N"), "N is gone: saved workflows and scripts"),
    "an input that is gone": (lambda now, inputs: inputs.pop(0), "N: the input `model` is gone"),
    "a renamed input": (put(0, name="models"), "the input `model` is gone"),
    "another type": (put(0, type="CLIP"), "the input `model` was MODEL and is CLIP"),
    "an option that is gone": (put(MODE, options=["a"]), "the input `mode` no longer takes 'b'"),
    "a slot that is gone": (put(VECS, slots=["vec2"]), "the input `vecs` no longer takes 'vec1'"),
    "a higher minimum": (put(STEPS, range=[2, 100]), "the input `steps` took 1 to 100 and takes 2 to 100"),
    "a lower maximum": (put(STEPS, range=[1, 99]), "took 1 to 100 and takes 1 to 99"),
    "a limit where none was": (put(SEED, range=[0, 9]), "the input `seed` took any value and takes 0 to 9"),
    "a default that is gone": (put(STEPS, has_default=False), "the input `steps` has lost its default"),
    "an optional input that is required": (put(LATE, optional=False), "the input `late` was optional and is required"),
    "a required widget at the end": (add(9, widget("new")), "the new input `new` is required"),
    "an optional widget before others": (add(LATE, widget("new", optional=True)), "the order of its widgets was"),
    "two widgets that change places": (
        lambda now, inputs: inputs.insert(1, inputs.pop(2)),
        "was steps, seed, seed, mode, late and is seed, seed, steps, mode, late: saved workflows keep values by place",
    ),
    "a widget that is optional now": (put(STEPS, optional=True), "the order of its widgets was"),
    "a widget that is a socket now": (put(STEPS, widgets=0), "the order of its widgets was"),
    "a seed without its choice": (put(SEED, widgets=1), "the order of its widgets was"),
    "an output in front": (
        lambda now, inputs: now["N"]["outputs"].insert(0, {"name": "y", "type": "MASK"}),
        "its outputs were IMAGE and are MASK, IMAGE: links in saved workflows and scripts",
    ),
    "an output that is gone": (lambda now, inputs: now["N"]["outputs"].pop(), "its outputs were IMAGE and are none"),
    "an end of workflows that is none now": (
        lambda now, inputs: now["N"].update(is_output_node=False),
        "it was an output node and is none",
    ),
}


@pytest.mark.parametrize("name", GROWTH)
def test_what_only_grows_breaks_nothing(name):
    assert changed(GROWTH[name]) == []


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_told_in_words(name):
    change, words = BREACHES[name]
    complaints = changed(change)
    assert any(words in each for each in complaints), complaints
    assert all(each.startswith("N") for each in complaints), "the other node is as it was"
