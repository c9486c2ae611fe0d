import re

import comfy.cli_args
import comfy.ldm.modules.attention as attention
import torch

from flux_duet.nodes.compat import machine

CPU = torch.device("cpu")


def test_version():
    """A text of numbers and dots."""
    assert re.match(r"\d+\.\d+\.\d+", machine.version())


def test_device_name():
    """The CPU's name."""
    assert machine.device_name(CPU) == "cpu"


def test_attention_names(monkeypatch):
    """The attention in use is a module's attribute, and is looked up again at each call."""
    first, second = machine.attention_names(CPU)
    assert first.startswith("attention_")
    assert second.startswith("attention_")
    monkeypatch.setattr(attention, "optimized_attention", attention.attention_basic)
    assert machine.attention_names(CPU)[0] == "attention_basic"


def test_vram_state():
    """A member of an enumeration, by its name."""
    assert re.fullmatch("[A-Z]+(_VRAM)?", machine.vram_state())


def test_options(monkeypatch):
    """Options are attributes of one object, under their long names; `fast` is a set."""
    monkeypatch.setattr(comfy.cli_args.args, "deterministic", True)
    assert machine.option("deterministic") is True
    assert isinstance(machine.option("fast"), set)
    assert machine.option("no_such_option") is None
