"""Whatever is wrong with an encoder's file, the loaders' error names the file and a remedy; other errors pass."""

import json
import os

import comfy
import folder_paths
import pytest
import torch
from comfy.model_management import InterruptProcessingException
from safetensors.torch import load_file, save_file

from flux_duet.nodes.encode.choices import AVERAGE, FIRST, STRONGEST
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.embeddings import cached
from flux_duet.nodes.encode.embeddings.store import _pack
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.nodes.encode.load.lazy_t5 import read
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.nodes.encode.load.nodes import LoadClip, LoadT5
from flux_duet.nodes.encode.load.shapes import BadFile
from flux_duet.tests.comfy import native

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LOADERS = {"CLIP-L": (load_clip_l, "clip_l", ".mlp.fc1"), "T5": (load_t5, "t5xxl", ".SelfAttention.q")}


@pytest.fixture(params=LOADERS)
def loader(request):
    return LOADERS[request.param]


@pytest.fixture
def load(loader):
    return loader[0]


@pytest.fixture
def weights(loader, tiny) -> dict:
    return load_file(tiny[loader[1]])


@pytest.fixture
def layer(loader, weights) -> str:
    """A layer whose weight is a matrix."""
    return next(key for key in weights if key.endswith(f"{loader[2]}.weight")).removesuffix(".weight")


def refused(load, path) -> str:
    """A loader's error message for a file; asserts that it has the file's name and not its folder."""
    with pytest.raises(BadFile) as error:
        load(str(path))
    message = str(error.value)
    assert message.startswith(path.name) and str(path.parent) not in message
    return message


def saved(tmp_path, weights, metadata=None):
    path = tmp_path / "odd.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, path, metadata)
    return path


CHANGES = {
    "half": lambda tensor: tensor[: len(tensor) // 2],
    "nothing": lambda tensor: torch.zeros(0),
    "a number": lambda tensor: torch.zeros(()),
    "one dimension more": lambda tensor: tensor[None],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_shapes_that_do_not_fit(load, weights, layer, tmp_path, change):
    key = f"{layer}.weight"
    message = refused(load, saved(tmp_path, {**weights, key: change(weights[key])}))
    assert f"inconsistent shapes: {key} is {list(change(weights[key]).shape)}, expected " in message
    assert f"{list(weights[key].shape)}. It is damaged" in message


TABLES = ["", "null", "[]", "{}", "3", '{"layers": null}', '{"layers": []}', '{"layers": 3}', "[" * 100_000]
FORMATS = [None, [], "x", {}, {"format": 3}, {"format": []}, {"format": "bf4"}]


@pytest.mark.parametrize("text", TABLES + [json.dumps({"layers": {"q": each}}) for each in FORMATS[:3]])
def test_a_table_of_formats_that_is_none(load, weights, tmp_path, text):
    message = refused(load, saved(tmp_path, weights, {"_quantization_metadata": text}))
    assert "`_quantization_metadata` is not a JSON object with a format" in message and "Use one that" in message


@pytest.mark.parametrize("form", FORMATS[3:])
@pytest.mark.parametrize("place", ["metadata", "tensor"])
def test_a_format_that_is_not_known(load, weights, layer, tmp_path, form, place):
    if place == "metadata":
        path = saved(tmp_path, weights, {"_quantization_metadata": json.dumps({"layers": {layer: form}})})
    else:
        weights[f"{layer}.comfy_quant"] = torch.tensor(list(json.dumps(form).encode()), dtype=torch.uint8)
        path = saved(tmp_path, weights)
    message = refused(load, path)
    assert f"its layer {layer} has the format" in message and "expected one of float8_e4m3fn, " in message


SCALES = {
    "none": ("float8_e4m3fn", {}, "has no weight_scale,"),
    "of another size": ("float8_e4m3fn", {"weight_scale": torch.ones(5)}, "has a weight_scale of shape [5]"),
    "one of two": ("nvfp4", {"weight_scale": torch.ones(1)}, "has no weight_scale_2,"),
}


@pytest.mark.parametrize("form, scales, words", SCALES.values(), ids=SCALES)
def test_scales_that_do_not_fit(load, weights, layer, tmp_path, form, scales, words):
    weights |= {f"{layer}.{name}": scale for name, scale in scales.items()}
    path = saved(tmp_path, weights, {"_quantization_metadata": json.dumps({"layers": {layer: {"format": form}}})})
    assert f"its layer {layer} {words}" in refused(load, path)


def test_an_old_scale_of_several_numbers(load, weights, layer, tmp_path):
    weights |= {"scaled_fp8": torch.zeros(2), f"{layer}.scale_input": torch.zeros(5)}
    assert "ComfyUI raised RuntimeError" in refused(load, saved(tmp_path, weights))


def test_what_is_no_file(load, tmp_path):
    folder, loop, gone, pipe = (tmp_path / f"{name}.safetensors" for name in ("folder", "loop", "gone", "pipe"))
    folder.mkdir()
    assert "is a folder, expected a model file. Choose" in refused(load, folder)
    assert "cannot be read: No such file or directory. Choose" in refused(load, gone)
    if hasattr(os, "mkfifo"):
        loop.symlink_to(loop)
        assert "cannot be read: Too many levels of symbolic links. Choose" in refused(load, loop)
        os.mkfifo(pipe)
        assert "is a named pipe, expected a model file. Choose" in refused(load, pipe)


@pytest.mark.parametrize("node", [LoadClip, LoadT5])
def test_a_node_names_what_has_gone(node, monkeypatch, tmp_path):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "text_encoders", ([str(tmp_path)], {".safetensors"}))
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("gone.safetensors", "folder.safetensors"):
        with pytest.raises(BadFile, match=f"^{name} was not found in ComfyUI/models/text_encoders. Choose a file"):
            node.execute(name)


def no_main_memory():
    torch.empty(10**15)


def no_video_memory():
    raise torch.OutOfMemoryError("no room")


def no_memory():
    raise MemoryError


def interrupted():
    raise InterruptProcessingException


FAULTS = {no_main_memory: RuntimeError, no_video_memory: torch.OutOfMemoryError, no_memory: MemoryError,
          interrupted: InterruptProcessingException}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["load_torch_file", "convert_old_quants"])
def test_what_is_not_the_files_fault_passes(load, weights, tmp_path, monkeypatch, fault, place):
    monkeypatch.setattr(comfy.utils, place, lambda *_, **__: fault())
    with pytest.raises(FAULTS[fault]) as error:
        load(str(saved(tmp_path, weights)))
    assert error.type is FAULTS[fault]


def test_what_comes_up_when_the_weights_are_read_names_the_file(tiny, monkeypatch):
    clip = load_t5(str(tiny["t5xxl"]))

    def fails(sd):
        raise KeyError("of ComfyUI's")

    monkeypatch.setattr(clip, "load_sd", fails)
    with pytest.raises(BadFile, match=r"^nano_t5xxl\.safetensors cannot be loaded .* KeyError"):
        read(clip.cond_stage_model.t5xxl)


ENCODE = {
    "CLIP-L": [lambda clip, past=past: encode_clip_prompt(clip, "a (red:1.3) ring", past) for past in
               (FIRST, AVERAGE, STRONGEST)],
    "T5": [lambda clip: encode_t5(clip, "a red ring")],
}  # fmt: skip


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", LOADERS)
def test_weights_that_are_not_finite(tiny, tmp_path, kind, number):
    """NaN is detected in the first encoding and reported with the file's name; the encoding is not stored."""
    load, name, part = LOADERS[kind]
    weights = load_file(tiny[name])
    weights[next(key for key in weights if key.endswith(f"{part}.weight"))][0, 0] = number
    clip = load(str(saved(tmp_path, weights)))
    for encode in ENCODE[kind]:
        with pytest.raises(ValueError, match=r"^odd\.safetensors encodes this prompt as numbers that are not finite"):
            encode(clip)
    assert cached.store().size() == (0, 0)
    with pytest.raises(ValueError, match="^This CLIP encodes this prompt as numbers"):  # whose file is not known
        ENCODE[kind][0](native.dual({**tiny, name: tmp_path / "odd.safetensors"}))


def test_a_lora_that_is_not_finite(tiny):
    clip = load_clip_l(str(tiny["clip_l"]))
    before = encode_clip(clip, "a red ring").spans[0].tensor
    weight = next(key for key in clip.patcher.model_state_dict() if key.endswith("mlp.fc1.weight"))
    shape = clip.patcher.model_state_dict()[weight].shape
    patched = clip.clone()
    patched.add_patches({weight: ("diff", (torch.full(shape, float("nan")),))})
    with pytest.raises(ValueError, match="Its weights, or those of a LoRA on it, are damaged"):
        encode_clip(patched, "a red ring")
    assert cached.store().size()[0] == 1
    assert torch.equal(encode_clip(clip, "a red ring").spans[0].tensor, before)


def test_what_an_older_version_kept_is_encoded_anew():
    store = cached.store()
    path = store.folder / "0.safetensors"
    store.put("0", torch.tensor([1.0, float("nan")]))
    assert not path.exists()
    path.parent.mkdir(parents=True)
    path.write_bytes(_pack(torch.tensor([1.0, float("nan")]), "0"))
    assert store.get("0") is None and not path.exists()
