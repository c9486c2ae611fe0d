"""Every kind of control has a display name, and a function that applies it."""

from pathlib import Path

import pytest

from flux_duet.nodes.condition import controls

NODES = Path(__file__).parents[2] / "nodes"
# sample/apply.py applies controls; these are the functions that it calls.
PLACES = ("sample/apply.py", "sample/attention.py", "sample/attention_groups.py", "condition/time/at_moment.py")
SOURCE = "\n".join((NODES / path).read_text("utf-8") for path in PLACES)


def kinds(base: type = controls.Control) -> list[type]:
    """All kinds, base classes included."""
    return [each for kind in base.__subclasses__() for each in (kind, *kinds(kind))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if hasattr(kind, "stream")], ids=lambda kind: kind.__name__)
def test_every_kind_has_a_name_for_people(kind):
    assert kind in controls.TITLES, f"{kind.__name__} needs a row in TITLES: the error for plain samplers names it"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_kind_is_carried_out(kind):
    names = {each.__name__ for each in kind.__mro__} - {"Control", "object"}
    assert any(f"isinstance(each, {name})" in SOURCE or f"{name})" in SOURCE for name in names), (
        f"nothing in {', '.join(PLACES)} acts on {kind.__name__}: a prompt that has it would be sampled without it"
    )
