"""Load T5 reads its file when a weight is first needed; nodes that got its CLIP before work the same."""

import shutil

import pytest
import torch
from comfy_extras.nodes_model_merging import CLIPSave

from flux_duet.devtools.opens import Opens
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.encode.load import loading
from flux_duet.nodes.encode.load.lazy_t5 import Unread, read
from flux_duet.nodes.encode.load.loading import load_t5
from flux_duet.nodes.encode.load.nodes import LoadT5
from flux_duet.tests.comfy.test_encode_patched import hooked, hooks, random_lora, with_lora
from nodes import CLIPTextEncode

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

TEXT = "a (red:1.3) circle at night"


def txt(clip, text: str = TEXT) -> torch.Tensor:
    return encode_t5(clip, text)[0].spans[0].tensor


@pytest.fixture
def path(tiny, tmp_path) -> str:
    return shutil.copy(tiny["t5xxl"], tmp_path)


@pytest.fixture
def opens(path):
    load_t5(path)  # its first load, at which the header is read
    try:
        watch = Opens(path)
    except OSError:
        pytest.skip("needs inotify, which is Linux's")
    with watch:
        yield watch


def is_unread(clip) -> bool:
    return isinstance(clip.cond_stage_model.t5xxl.transformer, Unread)


def read_at_once(path):
    clip = load_t5(path)
    read(clip.cond_stage_model.t5xxl)
    assert not is_unread(clip)
    return clip


def test_a_stored_prompt_never_opens_the_file(path, opens):
    clip, lora = load_t5(path), random_lora()
    plain, patched = txt(clip), txt(with_lora(clip, lora))
    assert opens.seen()
    again = load_t5(path)
    assert torch.equal(txt(again), plain) and torch.equal(txt(with_lora(again, lora)), patched)
    assert is_unread(again) and opens.seen() == []
    assert not torch.equal(txt(again, "another prompt"), plain)
    assert not is_unread(again) and "open" in opens.seen()


def test_the_first_load_reads_the_header_alone(path):
    clip = load_t5(path)
    assert is_unread(clip)
    assert all(weight.is_meta for weight in clip.cond_stage_model.t5xxl.transformer.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_an_unread_t5_has_the_names_and_sizes_of_the_real_one(save_models, dtype):
    path = str(save_models(dtype=dtype)["t5xxl"])
    unread, real = load_t5(path), read_at_once(path)
    assert unread.patcher.model_size() == real.patcher.model_size()
    assert unread.cond_stage_model.dtypes == real.cond_stage_model.dtypes
    outline, weights = (each.cond_stage_model.state_dict() for each in (unread, real))
    assert list(outline) == list(weights)
    for key in weights:
        assert (outline[key].shape, outline[key].dtype) == (weights[key].shape, weights[key].dtype)
    assert is_unread(unread)


def test_loras_on_either_side_of_the_reading(path):
    lora = random_lora()
    early = load_t5(path)
    patched_early = with_lora(early, lora)
    weak = with_lora(patched_early, random_lora(1), 0.5)
    late = read_at_once(path)
    patched_late = with_lora(late, lora)
    for text in (TEXT, "two", "three"):  # there and back: no weights of one remain in the other
        for one, other in ((weak, with_lora(patched_late, random_lora(1), 0.5)), (early, late)):
            assert torch.equal(txt(one, text), txt(other, text))
        assert torch.equal(txt(patched_early, text), txt(patched_late, text))
    assert not torch.equal(txt(patched_early), txt(early))


def test_hooks_on_an_unread_t5(path):
    group = hooks((0.0, 0.2), (0.5, 1.0))
    early, late = (encode_t5(hooked(clip, group, True), TEXT)[0].spans for clip in (load_t5(path), read_at_once(path)))
    assert len(early) == len(late) == 2
    assert all(torch.equal(one.tensor, other.tensor) for one, other in zip(early, late, strict=True))


def test_comfyui_nodes_take_an_unread_t5(path, tmp_path, monkeypatch):
    unread, real = load_t5(path), read_at_once(path)
    ((native, _),), ((other, _),) = (CLIPTextEncode().encode(clip, TEXT)[0] for clip in (unread, real))
    assert torch.equal(native, other)
    patches = load_t5(path).get_key_patches()  # what the CLIP merging nodes use
    assert patches.keys() == real.get_key_patches().keys()
    for key, ((weight, _), *_) in real.get_key_patches().items():
        assert torch.equal(patches[key][0][0], weight)
    saved = {}
    monkeypatch.setattr("comfy.utils.save_torch_file", lambda sd, *_, **__: saved.update(sd))
    saver = CLIPSave()
    saver.output_dir = str(tmp_path)
    saver.save(load_t5(path), "saved")
    assert any("SelfAttention" in key for key in saved) and not any(tensor.is_meta for tensor in saved.values())


def test_layers_are_reached_as_if_they_were_there(path):
    encoder = load_t5(path).cond_stage_model.t5xxl
    assert encoder.transformer.num_layers == 2
    encoder.to(torch.device("cpu"))
    assert isinstance(encoder.transformer, Unread)
    assert not hasattr(encoder.transformer, "no_such_thing")
    assert isinstance(encoder.transformer, Unread)
    assert not encoder.transformer.get_input_embeddings().weight.is_meta
    assert not isinstance(encoder.transformer, Unread)


def test_a_file_exchanged_before_it_was_read(path, save_models, monkeypatch):
    clip = load_t5(path)
    shutil.copy(save_models(dtype=torch.float16)["t5xxl"], path)
    with pytest.raises(ValueError, match="was changed or removed since Load T5 ran. Queue the prompt again"):
        txt(clip)
    monkeypatch.setattr("folder_paths.get_full_path_or_raise", lambda folder, name: path)
    marks = [LoadT5.fingerprint_inputs("t5.safetensors")]
    assert marks == [LoadT5.fingerprint_inputs("t5.safetensors")]
    shutil.copy(save_models()["t5xxl"], path)
    assert LoadT5.fingerprint_inputs("t5.safetensors") not in marks  # ComfyUI runs the loader again
    assert txt(load_t5(path)).isfinite().all()


def test_a_failed_reading_can_be_repeated(path, monkeypatch):
    clip, expected = load_t5(path), txt(read_at_once(path), "new")
    with monkeypatch.context() as patch:

        def full(*_):
            raise torch.OutOfMemoryError("no room")

        patch.setattr(clip, "load_sd", full)
        with pytest.raises(torch.OutOfMemoryError):
            txt(clip)
    assert is_unread(clip)
    assert torch.equal(txt(clip, "new"), expected)


def test_a_record_that_cannot_be_kept_costs_another_look(path, monkeypatch, caplog):
    def read_only(*_):
        raise OSError("read-only file system")

    monkeypatch.setattr("flux_duet.nodes.disk.encoder_files.write_whole", read_only)
    looks, look = [], loading.read_weights
    monkeypatch.setattr(loading, "read_weights", lambda path: looks.append(path) or look(path))
    assert is_unread(load_t5(path)) and is_unread(load_t5(path))
    assert len(looks) == 2 and "could not be recorded" in caplog.text
