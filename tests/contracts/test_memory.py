import comfy.model_management
import psutil
import pytest
import torch

from flux_duet.nodes.compat import memory

CPU = torch.device("cpu")


def test_free_main_memory():
    """Bytes of main memory."""
    assert 0 < memory.free_main_memory() <= psutil.virtual_memory().total


def test_free_memory(monkeypatch):
    """Models are moved away for a size in bytes on a device."""
    asked = []
    monkeypatch.setattr(comfy.model_management, "free_memory", lambda size, device: asked.append((size, device)))
    memory.free_memory(7, CPU)
    monkeypatch.undo()
    assert asked == [(7, CPU)]
    assert comfy.model_management.free_memory(0, torch.device("cpu:0")) == []


def test_out_of_memory():
    """torch's error is distinguished from others, whatever their text."""
    assert memory.is_out_of_memory(torch.OutOfMemoryError("no room"))
    assert not memory.is_out_of_memory(RuntimeError("out of memory"))


def test_interruption():
    """Raises once, with an exception that `except Exception` does not catch."""
    memory.check_interrupted()
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException) as caught:
        memory.check_interrupted()
    assert not isinstance(caught.value, Exception)
    memory.check_interrupted()


def test_devices_and_types():
    """The device of results, and dtype and device of a text encoder on the CPU: floating point, built in place."""
    assert memory.result_device() == memory.compute_device() == CPU
    assert memory.text_encoder_dtype(CPU).is_floating_point
    assert memory.text_encoder_initial_device(CPU, CPU, 2**34) == CPU


@pytest.mark.parametrize(
    ("file", "kept"), [(None, torch.float16), (torch.float32, torch.float16), (torch.bfloat16, torch.bfloat16)]
)
def test_weight_dtype(file, kept):
    """The file's dtype, unless there is none or it is wider than the given one."""
    assert memory.weight_dtype(file, torch.float16, CPU) == kept


def test_dtype_size():
    """Bytes per number, also for fp8."""
    assert [memory.dtype_size(each) for each in (torch.float32, torch.bfloat16, torch.float8_e4m3fn)] == [4, 2, 1]


def test_archived_dtypes():
    """Sets dtypes on modules and does not change weights."""
    linear = torch.nn.Linear(2, 2, dtype=torch.float16)
    weights = {name: value.clone() for name, value in linear.state_dict().items()}
    memory.archive_dtypes(torch.nn.Sequential(linear))
    assert linear.weight_comfy_model_dtype == torch.float16
    assert all(torch.equal(value, weights[name]) for name, value in linear.state_dict().items())
