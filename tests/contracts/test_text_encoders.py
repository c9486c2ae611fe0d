import comfy.hooks
import comfy.utils
import torch
from comfy_extras.nodes_hooks import SetClipHooks

from flux_duet.nodes import flux1_sizes
from flux_duet.nodes.compat import text_encoders
from flux_duet.nodes.encode.load.loading import load_clip_l, load_t5
from flux_duet.tests.comfy import native

CLIP_START, CLIP_END, T5_PAD, T5_END = 49406, 49407, 0, 1


def test_clip_l_tokens():
    """Chunks of (token, weight) between start and end token, padded with the end token to 77."""
    [chunk] = text_encoders.clip_l_tokenizer().tokenize_with_weights("a (cat:1.5)")
    ids, given = [token for token, _ in chunk], [weight for _, weight in chunk]
    assert (len(ids), ids[0], ids[3:]) == (77, CLIP_START, [CLIP_END] * 74)
    assert given[:4] == [1.0, 1.0, 1.5, 1.0]
    long = text_encoders.clip_l_tokenizer(248).tokenize_with_weights("a cat")
    assert [len(each) for each in long] == [248]
    assert [len(each) for each in text_encoders.clip_l_tokenizer().tokenize_with_weights("cat " * 76)] == [77, 77]


def test_t5_tokens():
    """One chunk for any length of text, with an end token, padded to at least 256."""
    tokenizer = text_encoders.t5_tokenizer()
    assert type(tokenizer) is text_encoders.t5_tokenizer_class()
    [chunk] = tokenizer.tokenize_with_weights("a cat")
    ids = [token for token, _ in chunk]
    assert (len(ids), ids.index(T5_END), set(ids[ids.index(T5_END) + 1 :])) == (256, len(ids) - ids.count(0) - 1, {0})
    assert [len(each) > 300 for each in tokenizer.tokenize_with_weights("cat " * 300)] == [True]
    assert tokenizer.tokenizer.decode(ids[: ids.index(T5_END)]) == "a cat"


def test_the_text_as_it_is():
    """A tokenizer's `tokenizer` is Hugging Face's: it parses no weights and cuts nothing off, as trainers' do."""
    clip_l, t5 = text_encoders.clip_l_tokenizer().tokenizer, text_encoders.t5_tokenizer().tokenizer
    assert clip_l.convert_ids_to_tokens(clip_l("ohwx (a:1.2)")["input_ids"])[1:-1] == [
        "ohwx</w>", "(</w>", "a</w>", ":</w>", "1</w>", ".</w>", "2</w>", ")</w>",
    ]  # fmt: skip
    assert t5.convert_ids_to_tokens(t5("ohwx")["input_ids"]) == ["\u2581", "o", "h", "w", "x", "</s>"]
    assert t5.convert_tokens_to_ids("\u2581") == t5("ohwx")["input_ids"][0]
    assert (len(clip_l("cat " * 200)["input_ids"]), len(t5("cat " * 600)["input_ids"])) == (202, 601)


def test_empty_tokens():
    """Start and end tokens if there are any, then pads."""
    assert text_encoders.empty_tokens({"start": 7, "end": 8, "pad": 9}, 4) == [7, 8, 9, 9]
    assert text_encoders.empty_tokens({"end": T5_END, "pad": T5_PAD}, 3) == [1, 0, 0]


def test_parameters():
    """Numbers, not tensors or bytes."""
    assert text_encoders.count_parameters({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.float16)}) == 10


def test_kind_of_a_t5():
    """The dtype of its last norm; nothing for anything but a T5."""
    norm = {"encoder.final_layer_norm.weight": torch.ones(2, dtype=torch.bfloat16)}
    assert text_encoders.t5_kind(norm) == {"dtype_t5": torch.bfloat16}
    assert text_encoders.t5_kind({}) == {}
    quantised = {**norm, "layer.comfy_quant": torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)}
    assert "t5_quantization_metadata" in text_encoders.t5_kind(quantised)


def test_classes(tiny):
    """A CLIP has `patcher`, `tokenizer` and `cond_stage_model`, whose attributes clip_l and t5xxl are its encoders."""
    dual = native.dual(tiny)
    model = dual.cond_stage_model
    assert isinstance(dual, text_encoders.CLIP)
    assert isinstance(model.clip_l, text_encoders.SDClipModel)
    assert isinstance(model.t5xxl, text_encoders.T5XXLModel)
    assert isinstance(model.t5xxl.transformer, text_encoders.T5)
    assert type(dual.tokenizer.t5xxl) is text_encoders.t5_tokenizer_class()
    assert dual.tokenize("a cat").keys() == {"l", "t5xxl"}


def test_what_a_clip_holds(tiny):
    """`cond_stage_model` has an attribute for each encoder, `tokenizer` one for each tokenizer."""
    dual, clip_l = native.dual(tiny), load_clip_l(str(tiny["clip_l"]))
    model = text_encoders.model_of(dual)
    assert model is text_encoders.patcher_of(dual).model
    assert text_encoders.encoder_of(dual, "clip_l") is model.clip_l
    assert list(text_encoders.encoders_of(dual)) == [model.clip_l, model.t5xxl]
    assert text_encoders.encoder_of(clip_l, "t5xxl") is None
    assert text_encoders.is_clip(dual) and not any(map(text_encoders.is_clip, (None, 0, "clip", [])))
    t5 = text_encoders.transformer_of(model.t5xxl)
    assert isinstance(t5, text_encoders.T5)
    assert text_encoders.dtypes_of(dual) == {model.clip_l.transformer.dtype, t5.dtype}
    assert (text_encoders.layer_of(dual), text_encoders.hooks_of(dual)) == (None, None)
    assert text_encoders.tokenizer_options(dual) == {}
    dual.clip_layer(-2)
    dual.set_tokenizer_option("t5xxl_min_length", 3)
    assert text_encoders.layer_of(dual) == -2
    assert text_encoders.tokenizer_options(dual) == {"t5xxl_min_length": 3}
    [hooked] = SetClipHooks().apply_hooks(dual, False, True, hooks := comfy.hooks.HookGroup())
    assert (text_encoders.hooks_of(hooked), text_encoders.hooks_of(dual)) == (hooks, None)
    text_encoders.put_transformer(model.t5xxl, other := torch.nn.Identity())
    assert dual.clone().cond_stage_model.t5xxl.transformer is other


def test_tokenizers_in_a_clip(tiny):
    """Pure modules read these of an SDTokenizer; each is in the CLIP's tokenizer under its encoder's name.

    `return_word_ids` numbers the words that a weight or an embedding sets apart, from 1; 0 is none.
    """
    dual = native.dual(tiny)
    clip_l, t5 = (text_encoders.tokenizer_of(dual, name) for name in ("clip_l", "t5xxl"))
    assert (clip_l, t5) == (dual.tokenizer.clip_l, dual.tokenizer.t5xxl)
    assert text_encoders.tokenizer_of(dual, "gemma") is None
    assert text_encoders.tokenizer_name(dual) == "FluxTokenizer"
    clips = flux1_sizes.CLIP_POSITIONS, flux1_sizes.VEC_WIDTH, CLIP_START, CLIP_END, 1
    t5s = 99999999, flux1_sizes.TXT_WIDTH, None, T5_END, 0
    for tokenizer, numbers in ((clip_l, clips), (t5, t5s)):
        assert numbers == (tokenizer.max_length, tokenizer.embedding_size, tokenizer.start_token, tokenizer.end_token,
                           tokenizer.tokens_start)  # fmt: skip
        assert tokenizer.embedding_identifier == "embedding:"
        assert tokenizer.embedding_directory is None
        assert (tokenizer.max_word_length, tokenizer.tokenizer_adds_end_token) == (8, True)
        assert isinstance(tokenizer.tokenizer.unk_token_id, int)
    assert t5.min_length == flux1_sizes.T5_ROWS
    [chunk] = clip_l.tokenize_with_weights("a (cat:2)", return_word_ids=True)
    assert [word for _, _, word in chunk[:4]] == [0, 1, 2, 0]


def test_another_model(tiny):
    """A CLIP asks its `load_model` for the patcher, then its `cond_stage_model` for the rows; a copy has its own."""
    dual, asked = native.dual(tiny), []
    model = text_encoders.model_of(dual)

    class Only:
        reset_clip_options, set_clip_options = model.reset_clip_options, model.set_clip_options

        def encode_token_weights(self, tokens):
            asked.append(sorted(tokens))
            return model.encode_token_weights(tokens)

    def load():
        asked.append("load")
        return dual.load_model()

    other = text_encoders.with_model(dual, Only(), load)
    tokens = dual.tokenize("a cat")
    with torch.inference_mode():
        [[txt, _]] = other.encode_from_tokens_scheduled(tokens)
        [[native_txt, _]] = dual.encode_from_tokens_scheduled(tokens)
    assert asked == ["load", ["l", "t5xxl"]]
    assert torch.equal(txt, native_txt)


def test_unmasked(tiny):
    """Three switches of an encoder hide pads, zero their rows and give the mask; they are a copy's own."""
    dual = native.dual(tiny)
    encoder = text_encoders.encoder_of(dual, "t5xxl")
    encoder.enable_attention_masks = encoder.return_attention_masks = encoder.zero_out_masked = True
    tokens = dual.tokenize("a (cat:1.5)")["t5xxl"]
    plain = text_encoders.read_unmasked(encoder)
    with torch.inference_mode():
        dual.load_model()
        masked, _, more = encoder.encode_token_weights(tokens)
        txt, _, *rest = plain.encode_token_weights(tokens)
        encoder.enable_attention_masks = encoder.return_attention_masks = encoder.zero_out_masked = False
        expected, *_ = encoder.encode_token_weights(tokens)
    assert "attention_mask" in more
    assert torch.equal(txt, expected)
    assert not torch.equal(txt, masked)
    assert not any("attention_mask" in each for each in rest)


def test_one_encoder(tiny):
    """SD1ClipModel and SD1Tokenizer hold one encoder under the given name; a CLIP of them encodes as the pair.

    `options` sizes the encoder by the key clip_l_model_config, and the weights that are given are all taken.
    """
    sd = comfy.utils.load_torch_file(str(tiny["clip_l"]))
    kinds = text_encoders.SD1Tokenizer, text_encoders.SD1ClipModel
    options = {"clip_l_model_config": native.config("clip_l", tiny["clip_l"])}
    clip = text_encoders.build_clip(*kinds, [dict(sd)], options)
    for key, value in sd.items():
        kept = clip.cond_stage_model.clip_l.state_dict()[f"transformer.{key}"]
        assert torch.equal(kept, value.to(kept.dtype))
    dual = native.dual(tiny)
    with torch.inference_mode():
        [[_, one]] = clip.encode_from_tokens_scheduled(clip.tokenize("a cat"), unprojected=True)
        [[_, both]] = dual.encode_from_tokens_scheduled(dual.tokenize("a cat"))
    assert torch.equal(one["pooled_output"], both["pooled_output"])


def test_both_streams(tiny):
    """CLIPs built from these classes give the pair's embeddings bit for bit."""
    assert issubclass(text_encoders.SD1ClipModel, torch.nn.Module)
    clip, t5, dual = load_clip_l(str(tiny["clip_l"])), load_t5(str(tiny["t5xxl"])), native.dual(tiny)
    with torch.inference_mode():
        [[both, _]] = dual.encode_from_tokens_scheduled(dual.tokenize("a cat"))
        [[txt, _]] = t5.encode_from_tokens_scheduled({"t5xxl": dual.tokenize("a cat")["t5xxl"]})
    assert torch.equal(txt, both)
    assert clip.tokenize("a cat")["l"] == dual.tokenize("a cat")["l"]
