"""Load CLIP-L and Load T5 accept the files of DualCLIPLoader with the same results, and name what they refuse."""

import json
from pathlib import Path

import comfy
import folder_paths
import pytest
import torch
from comfy import ops
from comfy.clip_model import CLIPTextModel
from comfy.text_encoders.t5 import T5
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel

from flux_duet.nano import layouts
from flux_duet.nodes.encode.encoding import encode_clip, encode_t5
from flux_duet.nodes.encode.load import layout
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.nodes.encode.load.nodes import LoadClip, LoadT5
from flux_duet.tests.comfy import native

pytestmark = pytest.mark.usefixtures("as_executed")

TEXT = "a (red:1.3) circle at night"
DEEP = layouts.Shape(t5_layers=24)  # ComfyUI reads a T5's precision from the file only where it is as deep as T5-XXL


def vec(clip) -> torch.Tensor:
    return encode_clip(clip, TEXT).spans[0].tensor


def txt(clip) -> torch.Tensor:
    return encode_t5(clip, TEXT)[0].spans[0].tensor


def dtypes(encoder: torch.nn.Module) -> dict:
    return {key: value.dtype for key, value in encoder.state_dict().items()}


def assert_loaded_natively(paths) -> None:
    """Our two CLIPs have the native pair's dtypes and results."""
    pair, clip, t5 = native.dual(paths), load_clip_l(str(paths["clip_l"])), load_t5(str(paths["t5xxl"]))
    for single, name in ((clip, "clip_l"), (t5, "t5xxl")):
        single.load_model()
        assert dtypes(getattr(single.cond_stage_model, name)) == dtypes(getattr(pair.cond_stage_model, name))
    ((native_txt, extras),) = native.encode(pair, TEXT, TEXT)
    assert torch.equal(vec(clip), extras["pooled_output"])
    assert torch.equal(txt(t5), native_txt)
    assert native_txt.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_plain_precisions(tmp_path, dtype):
    assert_loaded_natively(layouts.save(tmp_path, DEEP, dtype=dtype))


SCALED = ("SelfAttention.q.weight", "SelfAttention.o.weight", "DenseReluDense.wi_0.weight", "DenseReluDense.wo.weight")


def quantised(weights: dict[str, torch.Tensor], scale_name: str) -> tuple[dict, dict]:
    """Float8 weights with a scale each, and the equal float16 weights.

    The scales are powers of two, so that both are the same numbers to the last bit.
    """
    out = {key: value.half() for key, value in weights.items()}
    plain = dict(out)
    for key in filter(lambda key: key.endswith(SCALED), weights):
        scale = 2 ** (weights[key].abs().max() / torch.finfo(torch.float8_e4m3fn).max).log2().ceil()
        out[key] = (weights[key] / scale).to(torch.float8_e4m3fn)
        out[f"{key.removesuffix('.weight')}.{scale_name}"] = scale
        plain[key] = (out[key].float() * scale).half()
        assert torch.equal(plain[key].float(), out[key].float() * scale)
    return out, plain


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scaled_fp8", "comfy_quant", "metadata"])
def test_quantised_layouts(save_models, tmp_path, kind):
    """The three float8 layouts: the old one, ComfyUI's with a tensor for each layer, and with the file's metadata."""
    paths = save_models(DEEP)
    old = kind == "scaled_fp8"
    weights, plain = quantised(load_file(paths["t5xxl"]), "scale_weight" if old else "weight_scale")
    layers = [key.removesuffix(".weight_scale") for key in weights if key.endswith(".weight_scale")]
    form, metadata = {"format": "float8_e4m3fn"}, None
    if old:
        weights["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    elif kind == "comfy_quant":
        described = torch.tensor(list(json.dumps(form).encode()), dtype=torch.uint8)
        weights |= {f"{layer}.comfy_quant": described.clone() for layer in layers}
    else:
        metadata = {"_quantization_metadata": json.dumps({"layers": dict.fromkeys(layers, form)})}
    save_file(weights, tmp_path / "t5_fp8.safetensors", metadata)
    save_file(plain, tmp_path / "t5_fp16.safetensors")
    assert_loaded_natively({**paths, "t5xxl": tmp_path / "t5_fp8.safetensors"})
    assert torch.equal(*(txt(load_t5(str(tmp_path / f"t5_{name}.safetensors"))) for name in ("fp8", "fp16")))


def test_long_clip_reads_beyond_77_positions(save_models):
    words = ["cat"] * 120
    changed = [*words[:100], "dog", *words[101:]]
    for positions, reads in ((77, False), (248, True)):
        clip = load_clip_l(str(save_models(layouts.Shape(clip_positions=positions))["clip_l"]))
        one, other = (encode_clip(clip, " ".join(text)).spans[0].tensor for text in (words, changed))
        assert torch.equal(one, other) is not reads


def test_ungated_t5_of_other_sizes(tmp_path):
    """The first T5s have one feed-forward matrix and relu; against transformers' T5 with the same weights."""
    shape = layouts.Shape(t5_layers=3, t5_width=48, t5_heads=3, t5_head_width=32, t5_ff=80)
    weights = load_file(layouts.save(tmp_path, shape, dtype=torch.float16)["t5xxl"])
    weights = {key.replace("wi_0", "wi"): value for key, value in weights.items() if "wi_1" not in key}
    save_file(weights, tmp_path / "old_t5.safetensors")
    config = T5Config(
        d_model=48, d_kv=32, d_ff=80, num_layers=3, num_heads=3, vocab_size=32128, feed_forward_proj="relu"
    )
    theirs = T5EncoderModel(config).eval()
    theirs.load_state_dict({**weights, "encoder.embed_tokens.weight": weights["shared.weight"]})
    t5 = load_t5(str(tmp_path / "old_t5.safetensors"))
    ids = torch.tensor([[token for token, _ in t5.tokenize("a circle")["t5xxl"][0]]])
    ours = encode_t5(t5, "a circle")[0].spans[0].tensor
    torch.testing.assert_close(ours, theirs(ids).last_hidden_state, rtol=1e-3, atol=1e-4)  # another order of summation


ROOT = Path(comfy.__path__[0])
CONFIGS = {
    "CLIP-L": ("sd1_clip_config.json", CLIPTextModel, layout.CLIP_L),
    "T5-XXL": ("text_encoders/t5_config_xxl.json", T5, layout.T5),
    "T5-XXL, old": ("text_encoders/t5_old_config_xxl.json", T5, layout.T5),
    "T5-base": ("text_encoders/t5_config_base.json", T5, layout.T5),
    "CLIP-H": ("text_encoders/sd2_clip_config.json", CLIPTextModel, None),
    "CLIP-G": ("clip_config_bigg.json", CLIPTextModel, None),
    "UMT5": ("text_encoders/umt5_config_xxl.json", T5, None),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_layout_of_the_models_that_comfyui_knows(kind):
    """transformers' classes at their real sizes, without weights: the config is recovered from their shapes."""
    file, model, wanted = CONFIGS[kind]
    config = json.loads((ROOT / file).read_text())
    built = model(dict(config), torch.float16, "meta", ops.disable_weight_init)
    shapes = {key: tuple(value.shape) for key, value in built.state_dict().items() if key != "text_projection.weight"}
    if wanted is None:
        for layout_of in (layout.CLIP_L, layout.T5):
            with pytest.raises(ValueError, match=f"found an? {kind}"):
                layout.check(shapes, layout_of, file)
    else:
        read = layout.check(shapes, wanted, file)
        assert read == {**read, **{key: value for key, value in config.items() if key in read}}


LOADERS = {"CLIP-L": load_clip_l, "T5": load_t5}


@pytest.fixture(params=LOADERS)
def loader(request, tiny):
    """(our loader, its kind, a good file for it)."""
    return LOADERS[request.param], request.param, tiny["clip_l" if request.param == "CLIP-L" else "t5xxl"]


def test_other_models_are_named(loader, tiny):
    load, kind, _ = loader
    kinds = {"flux": "a Flux transformer", "ae": "a VAE", "t5xxl": "a T5 encoder of 2 blocks", "clip_l": "a CLIP-L"}
    for name, words in kinds.items():
        if not words.startswith(f"a {kind}"):
            with pytest.raises(ValueError, match=f"{tiny[name].name} is not a {kind} file: found {words}"):
                load(str(tiny[name]))


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, -1])
def test_a_truncated_file_is_named(loader, tmp_path, kept):
    load, _, good = loader
    content = good.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    size = f"{path.stat().st_size:,} bytes"
    with pytest.raises(ValueError, match=rf"cut\.safetensors cannot be read .*\({size}\).*incomplete"):
        load(str(path))


@pytest.mark.parametrize("name", ["notes.safetensors", "notes.txt", "notes.pt"])
def test_a_text_file_is_named(loader, tmp_path, name):
    path = tmp_path / name
    path.write_text("Dear diary, today I downloaded a web page.\n" * 20)
    with pytest.raises(ValueError, match=f"{name} cannot be read as a model file"):
        loader[0](str(path))


def test_a_file_of_something_else_is_named(loader, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, path)
    with pytest.raises(ValueError, match=r"other\.pt is not a plain state dict"):
        loader[0](str(path))


def test_a_missing_tensor_is_named(loader, tmp_path):
    load, kind, good = loader
    weights = load_file(good)
    gone = next(key for key in weights if "final_layer_norm" in key)
    save_file({key: value for key, value in weights.items() if key != gone}, tmp_path / "part.safetensors")
    with pytest.raises(ValueError, match=f"incomplete {kind} file: 1 tensors are missing, the first is {gone}"):
        load(str(tmp_path / "part.safetensors"))


def test_pickled_files_load(loader, tmp_path):
    load, kind, good = loader
    torch.save(load_file(good), tmp_path / "weights.pt")
    encode = vec if kind == "CLIP-L" else txt
    assert torch.equal(encode(load(str(tmp_path / "weights.pt"))), encode(load(str(good))))


def test_comfyui_can_make_the_model_anew(loader):
    """As ComfyUI does for hooks under DynamicVRAM, and for a second GPU."""
    load, kind, good = loader
    clip, encode = load(str(good)), vec if kind == "CLIP-L" else txt
    again = clip.clone()
    function, arguments = clip.patcher.cached_patcher_init
    again.patcher = function(*arguments, disable_dynamic=True)
    again.cond_stage_model = again.patcher.model
    assert again.cond_stage_model is not clip.cond_stage_model
    assert type(again.patcher).__name__ == "ModelPatcher"
    assert torch.equal(encode(again), encode(clip))


def test_nodes_find_their_files(monkeypatch, tiny):
    folder = str(tiny["clip_l"].parent)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "text_encoders", ([folder], {".safetensors"}))
    for device in ("default", "cpu"):
        clip = LoadClip.execute(tiny["clip_l"].name, device)[0]
        t5 = LoadT5.execute(tiny["t5xxl"].name, device)[0]
        assert vec(clip).shape == (1, 64) and txt(t5).shape == (1, 256, 64)
        if device == "cpu":
            for patcher in (clip.patcher, t5.patcher):
                assert patcher.load_device == patcher.offload_device == torch.device("cpu")


def test_loading_clip_l_warns_of_nothing(tiny_models, caplog):
    load_clip_l(str(tiny_models / "text_encoders" / "tiny_clip_l.safetensors"))
    assert "missing" not in caplog.text
