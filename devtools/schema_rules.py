"""Which changes of a node break saved workflows and scripts. Pure.

A node is plain data, as `released.describe` gives it:
{"inputs": [{"name", "type", "optional", "widgets", "has_default", "options", "range", "slots"}],
 "outputs": [{"name", "type"}], "is_output_node": bool}

`widgets` are the places that an input takes in a saved workflow's list of values (2 for a seed with its "after each
run" choice, 0 for a socket). `options`, `range` and `slots` are None where the type has none, and `options` are the
pack's own, without those that depend on ComfyUI or on the user's files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]
SAVED, SCRIPTS = "saved workflows", "scripts that use the server's API"
BOTH = f"{SAVED} and {SCRIPTS}"


def breaches(released: Mapping[str, Node], now: Mapping[str, Node]) -> list[str]:
    """A sentence for each breaking change: what changed, and who is affected. `released` and `now` are {id: node}."""
    found = []
    for name, before in released.items():
        if name not in now:
            found.append(f"{name} is gone: {BOTH} that use it cannot run.")
            continue
        rules = (_inputs, _widgets, _outputs)
        found += [f"{name}: {words}" for rule in rules for words in rule(before, now[name])]
    return found


def _by_name(node: Node) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for each in node["inputs"]}


def _inputs(before: Node, now: Node) -> Iterator[str]:
    old, new = _by_name(before), _by_name(now)
    for name, was in old.items():
        if name not in new:
            yield f"the input `{name}` is gone: what {BOTH} give it is lost."
        else:
            yield from (f"the input `{name}` {words}" for words in _input(was, new[name]))
    for name in new.keys() - old.keys():
        if not new[name]["optional"]:
            yield f"the new input `{name}` is required: {SCRIPTS} do not send it and are refused. Make it optional."


def _input(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Breaking changes of one input's values."""
    if now["type"] != was["type"]:
        yield f"was {was['type']} and is {now['type']}: links and values in {BOTH} do not fit."
        return
    if was["optional"] and not now["optional"]:
        yield f"was optional and is required: {BOTH} that leave it out are refused."
    if was["has_default"] and not now["has_default"]:
        yield "has lost its default: a new node starts without a value."
    for kind in ("options", "slots"):
        if gone := [each for each in was[kind] or () if each not in (now[kind] or ())]:
            yield f"no longer takes {', '.join(map(repr, gone))}: {BOTH} that chose it are refused."
    if not _holds(now["range"], was["range"]):
        yield f"took {_span(was['range'])} and takes {_span(now['range'])}: values in {BOTH} may be refused."


def _holds(outer: list | None, inner: list | None) -> bool:
    """Whether a range [least, most] contains another; None, for a bound or the whole range, is no limit."""
    (low, high), (least, most) = outer or (None, None), inner or (None, None)
    return (low is None or (least is not None and low <= least)) and (
        high is None or (most is not None and most <= high)
    )


def _span(limits: list | None) -> str:
    if limits is None:
        return "any value"
    return " to ".join("any" if each is None else f"{each:g}" for each in limits)


def _places(node: Node) -> list[str]:
    """The names of a saved workflow's values in their order: ComfyUI lists required inputs before optional ones."""
    ordered = sorted(node["inputs"], key=lambda each: each["optional"])
    return [each["name"] for each in ordered for _ in range(each["widgets"])]


def _widgets(before: Node, now: Node) -> Iterator[str]:
    old, new = _places(before), _places(now)
    if new[: len(old)] != old:
        yield (
            f"the order of its widgets was {', '.join(old)} and is {', '.join(new)}: {SAVED} keep values by place, so "
            "they would go to the wrong widget. Put new widgets at the end, as optional inputs."
        )


def _outputs(before: Node, now: Node) -> Iterator[str]:
    old, new = ([each["type"] for each in node["outputs"]] for node in (before, now))
    if new[: len(old)] != old:
        yield (
            f"its outputs were {', '.join(old) or 'none'} and are {', '.join(new) or 'none'}: links in {BOTH} go by "
            "the output's number. Put new outputs at the end."
        )
    if before["is_output_node"] and not now["is_output_node"]:
        yield f"it was an output node and is none: {BOTH} that end in it do not run."
