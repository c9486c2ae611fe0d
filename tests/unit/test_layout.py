"""The kind of a text encoder's file, detected from its tensors' shapes; the shapes are those of published files."""

import tracemalloc

import pytest

from flux_duet.nodes.encode.load import layout
from flux_duet.nodes.encode.load.shapes import BadFile
from flux_duet.nodes.encode.tokens.weights import TooDeep

VOCABULARY = {"clip": 49408, "t5": 32128}


def clip(depth=12, width=768, positions=77, ff=None) -> dict[str, tuple[int, ...]]:
    ff = ff or 4 * width
    linear = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
    linear |= {"mlp.fc1": (ff, width), "mlp.fc2": (width, ff)}
    shapes = {
        "text_model.embeddings.token_embedding.weight": (VOCABULARY["clip"], width),
        "text_model.embeddings.position_embedding.weight": (positions, width),
        "text_model.final_layer_norm.weight": (width,),
        "text_model.final_layer_norm.bias": (width,),
    }
    for layer in (f"text_model.encoder.layers.{i}." for i in range(depth)):
        shapes |= {f"{layer}{part}.weight": shape for part, shape in linear.items()}
        shapes |= {f"{layer}{part}.bias": shape[:1] for part, shape in linear.items()}
        shapes |= {f"{layer}layer_norm{n}.{kind}": (width,) for n in (1, 2) for kind in ("weight", "bias")}
    return shapes


def t5(depth=24, width=4096, heads=64, head=64, ff=10240, gated=True, bias_in=(0,)) -> dict[str, tuple[int, ...]]:
    inner = heads * head
    attention = {"q": (inner, width), "k": (inner, width), "v": (inner, width), "o": (width, inner)}
    dense = dict.fromkeys(("wi_0", "wi_1") if gated else ("wi",), (ff, width)) | {"wo": (width, ff)}
    shapes = {"shared.weight": (VOCABULARY["t5"], width), "encoder.final_layer_norm.weight": (width,)}
    for block in range(depth):
        first, second = (f"encoder.block.{block}.layer.{n}." for n in (0, 1))
        shapes |= {f"{first}SelfAttention.{name}.weight": shape for name, shape in attention.items()}
        shapes |= {f"{second}DenseReluDense.{name}.weight": shape for name, shape in dense.items()}
        shapes |= {f"{part}layer_norm.weight": (width,) for part in (first, second)}
        if block in bias_in:
            shapes[f"{first}SelfAttention.relative_attention_bias.weight"] = (32, heads)
    return shapes


def keys(*names: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(names, (4, 4))


UMT5 = t5(heads=64, bias_in=range(24))
OTHERS = {
    "nothing": ({}, "no tensors at all"),
    "checkpoint": (
        keys("model.diffusion_model.double_blocks.0.img_mod.lin.weight", "vae.decoder.conv_in.weight")
        | {f"text_encoders.clip_l.transformer.{key}": shape for key, shape in clip(1).items()},
        "a whole checkpoint (load it with CheckpointLoaderSimple",
    ),
    "Flux, BFL's names": (keys("double_blocks.0.img_attn.qkv.weight", "img_in.weight"), "UNETLoader"),
    "Flux, diffusers' names": (keys("transformer_blocks.0.attn.to_q.weight"), "a Flux transformer"),
    "CLIP-H": (clip(24, 1024), "a CLIP-H text encoder of 24 layers"),
    "CLIP-H, cut as in SD2": (clip(23, 1024), "a CLIP-H text encoder of 23 layers"),
    "CLIP-G": (clip(32, 1280), "a CLIP-G text encoder of 32 layers"),
    "UMT5": (UMT5, "a UMT5 encoder"),
    "OpenCLIP": (keys("transformer.resblocks.0.ln_1.weight", "token_embedding.weight"), "an OpenCLIP text encoder"),
    "CLIP vision": (keys("vision_model.encoder.layers.0.mlp.fc1.weight"), "a CLIP vision model"),
    "VAE": (keys("encoder.conv_in.weight", "decoder.conv_in.weight"), "a VAE"),
    "TAESD": (keys("taesd_decoder.1.weight", "taesd_encoder.0.weight"), "a VAE"),
    "LoRA, kohya's names": (keys("lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"), "a LoRA"),
    "LoRA, diffusers' names": (keys("transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight"), "a LoRA"),
    "ControlNet": (keys("controlnet_x_embedder.weight"), "a ControlNet"),
    "language model": (keys("model.layers.0.self_attn.q_proj.weight"), "a language model"),
    "unknown": (keys("zebra", "apple", "melon", "kiwi"), "4 tensors of an unknown kind (apple, kiwi, melon, ...)"),
}
OWN = {
    "CLIP-L": (clip(), layout.CLIP_L, "a CLIP-L text encoder of 12 layers"),
    "Long-CLIP": (clip(positions=248), layout.CLIP_L, "a CLIP-L text encoder of 12 layers"),
    "T5-XXL": (t5(), layout.T5, "a T5 encoder of 24 blocks"),
    "T5-small": (t5(6, 512, 8, 64, 2048, gated=False), layout.T5, "a T5 encoder of 6 blocks"),
}


@pytest.mark.parametrize("shapes, wanted", [case[:2] for case in OWN.values()], ids=OWN)
def test_each_kind_is_its_own_and_not_the_other(shapes, wanted):
    for kind in (layout.CLIP_L, layout.T5):
        if kind is wanted:
            assert layout.check(shapes, kind, "file")
        else:
            with pytest.raises(ValueError, match=f"not a {kind.name} file: found a {wanted.name}"):
                layout.check(shapes, kind, "file")


@pytest.mark.parametrize("positions", [77, 248])
def test_clip_config(positions):
    assert layout.check(clip(positions=positions), layout.CLIP_L, "file") == {
        "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "intermediate_size": 3072,
        "max_position_embeddings": positions, "projection_dim": 768, "vocab_size": 49408,
    }  # fmt: skip


T5_SIZES = {  # google/t5-v1_1-xxl, -xl, -small (heads of 64) and t5-small, t5-3b (heads of 128), from their config.json
    "T5-v1.1-XXL": {"depth": 24, "width": 4096, "heads": 64, "head": 64, "ff": 10240, "gated": True},
    "T5-v1.1-XL": {"depth": 24, "width": 2048, "heads": 32, "head": 64, "ff": 5120, "gated": True},
    "T5-v1.1-small": {"depth": 8, "width": 512, "heads": 6, "head": 64, "ff": 1024, "gated": True},
    "T5-small": {"depth": 6, "width": 512, "heads": 8, "head": 64, "ff": 2048, "gated": False},
    "T5-3B": {"depth": 24, "width": 1024, "heads": 32, "head": 128, "ff": 16384, "gated": False},
}


@pytest.mark.parametrize("size", T5_SIZES.values(), ids=T5_SIZES)
def test_t5_config(size):
    assert layout.check(t5(**size), layout.T5, "file") == {
        "d_model": size["width"], "d_kv": size["head"], "d_ff": size["ff"], "num_heads": size["heads"],
        "num_layers": size["depth"], "is_gated_act": size["gated"], "vocab_size": 32128,
        "dense_act_fn": "gelu_pytorch_tanh" if size["gated"] else "relu",
    }  # fmt: skip


def test_t5_config_survives_packed_columns():
    """Four-bit layouts halve the columns of every matrix in the blocks, and keep the rows."""
    packed = {
        key: (shape[0], shape[1] // 2) if "encoder.block" in key and len(shape) == 2 and "bias" not in key else shape
        for key, shape in t5().items()
    }
    assert packed != t5()
    packed |= {f"{key.removesuffix('.weight')}.comfy_quant": (30,) for key in packed if packed[key] != t5()[key]}
    assert layout.check(packed, layout.T5, "file") == layout.check(t5(), layout.T5, "file")


@pytest.mark.parametrize("shapes, words", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("wanted", [layout.CLIP_L, layout.T5], ids=lambda wanted: wanted.name)
def test_other_kinds_are_refused_by_name(shapes, words, wanted):
    with pytest.raises(ValueError) as error:
        layout.check(shapes, wanted, "mine.safetensors")
    assert str(error.value).startswith(f"mine.safetensors is not a {wanted.name} file: found ")
    assert words in str(error.value)


@pytest.mark.parametrize("shapes, words", [(case[0], case[-1]) for case in OWN.values()], ids=OWN)
def test_describe_own_kinds(shapes, words):
    assert layout.describe(shapes) == words


@pytest.mark.parametrize("shapes, wanted", [(clip(2), layout.CLIP_L), (t5(2), layout.T5)], ids=["CLIP-L", "T5"])
def test_every_missing_tensor_is_named(shapes, wanted):
    """All but the one that identifies the kind: without it, the file is another kind."""
    kind = {"CLIP-L": "encoder.layers.0.mlp.fc1.weight", "T5": "encoder.block.0.layer.0.SelfAttention.q.weight"}
    for absent in shapes:
        with pytest.raises(ValueError) as error:
            layout.check({key: shape for key, shape in shapes.items() if key != absent}, wanted, "half.safetensors")
        if absent.endswith(kind[wanted.name]):
            assert f"half.safetensors is not a {wanted.name} file" in str(error.value)
        else:
            assert f"incomplete {wanted.name} file: 1 tensors are missing, the first is {absent}." in str(error.value)


ODD = {
    "half": lambda shape: (shape[0] // 2, *shape[1:]),
    "one row more": lambda shape: (shape[0] + 1, *shape[1:]),
    "flat": lambda shape: (*shape, 1),
    "nothing": lambda shape: (0, *shape[1:]),
    "a number": lambda _: (),
}
# Tensors whose rows or columns do not follow from other tensors.
ALONE = ("position_embedding", "shared", "relative_attention_bias")


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("shapes, wanted", [(clip(2), layout.CLIP_L), (t5(2), layout.T5)], ids=["CLIP-L", "T5"])
def test_a_tensor_that_does_not_fit_is_named(shapes, wanted, odd):
    """Any tensor, with the expected shape in the message."""
    for key, shape in shapes.items():
        if any(word in key for word in ALONE) and odd(shape)[1:] == shape[1:] and odd(shape)[0]:
            continue
        with pytest.raises(BadFile) as error:
            layout.check({**shapes, key: odd(shape)}, wanted, "odd.safetensors")
        assert "odd.safetensors has tensors with inconsistent shapes" in str(error.value)
        assert f"{key} is {list(odd(shape))}, expected [" in str(error.value)
        if not any(word in key for word in ALONE):
            assert f"expected {list(shape)}." in str(error.value)


NOT_RUN = {
    "width": (clip(2, width=130), layout.CLIP_L, None),
    "no head": (clip(2, width=129), layout.CLIP_L, "width of 129 is not a multiple of 64"),
    "positions": (clip(2, positions=2), layout.CLIP_L, "it has 2 positions, expected 77"),
    "heads": (t5(2) | {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 7)}, layout.T5,
              "attention width of 4096 is not a multiple of its 7 heads"),
    "words": (t5(2) | {"shared.weight": (100, 4096)}, layout.T5, "it has embeddings for 100 tokens"),
}  # fmt: skip


@pytest.mark.parametrize("shapes, wanted, words", NOT_RUN.values(), ids=NOT_RUN)
def test_sizes_that_no_encoder_has(shapes, wanted, words):
    if words is None:
        assert layout.check(shapes, wanted, "file")
        return
    with pytest.raises(BadFile, match=f"file is not a valid {wanted.name} file: .*{words}"):
        layout.check(shapes, wanted, "file")


def test_a_gap_between_blocks_is_found():
    shapes = {key: shape for key, shape in t5().items() if not key.startswith("encoder.block.7.")}
    with pytest.raises(ValueError, match=r"9 tensors are missing, the first is encoder\.block\.7\."):
        layout.check(shapes, layout.T5, "file")


@pytest.mark.parametrize("number", ["1000", "99999999", "9" * 5000])
@pytest.mark.parametrize(
    "shapes, name, known",
    [
        (t5(), "encoder.block.{}.x", layout.T5),
        (t5(), "encoder.block.{}.layer.0.SelfAttention.q.weight", layout.T5),
        (clip(), "text_model.encoder.layers.{}.x", layout.CLIP_L),
    ],
)
def test_a_block_s_number_is_looked_at_before_anything_is_made_of_it(shapes, name, known, number):
    """Listing the names of all blocks up to it would fill the memory."""
    tracemalloc.start()
    words = r"^odd.safetensors has a tensor named .*expected .* numbered from 0"
    with pytest.raises(ValueError, match=words) as caught:
        layout.check(shapes | {name.format(number): (4, 4)}, known, "odd.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6 and len(str(caught.value)) < 400
    assert "blocks" in layout.describe(shapes | {name.format(number): (4, 4)}) or known is layout.CLIP_L


@pytest.mark.parametrize("error", [BadFile("no"), TooDeep()], ids=["a file", "a prompt"])
def test_a_user_sees_no_path_in_an_errors_type(error):
    """In the format of execution.py's full_type_name."""
    kind = type(error)
    assert (kind.__module__, kind.__qualname__) == ("builtins", "ValueError") and isinstance(error, ValueError)


def test_names_of_any_length_are_told_in_a_few_words():
    text = layout.describe({f"odd {number}" + "9" * 5000: (4, 4) for number in range(3)})
    assert text.startswith("3 tensors of an unknown kind (odd 099") and len(text) < 300
