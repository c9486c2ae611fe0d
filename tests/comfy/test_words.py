"""Word Ablation in the real model: a word's numbers compared with reference prompts."""

import json

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_edit_model import ReferenceLatent

from flux_duet.nodes.condition.conditioning import join
from flux_duet.nodes.decode.decoding import decode
from flux_duet.nodes.encode.choices import FIRST
from flux_duet.nodes.encode.clip_prompt import encode_clip_prompt
from flux_duet.nodes.encode.encoding import encode_t5
from flux_duet.nodes.encode.tokens.lengths import COMFYUI
from flux_duet.nodes.encode.tokens.weights import OFF
from flux_duet.nodes.probe.influence.nodes import EMPTY, Influence
from flux_duet.nodes.probe.words import draw
from flux_duet.nodes.probe.words.ablation import without
from flux_duet.nodes.probe.words.nodes import WordAblation
from flux_duet.nodes.probe.words.recorder import measure, prompts
from flux_duet.nodes.sample.nodes import MMDiTSampler
from flux_duet.nodes.sample.sampling import SamplingPlan
from flux_duet.nodes.streams import ClipVec, Span, T5Text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

LATENT = {"samples": torch.zeros(1, 16, 8, 8)}
T5_TEXT, CLIP_TEXT = "a chartreuse circle, left of (stripes)", "at night"
STEPS = 6


@pytest.fixture
def ablate(model, singles):
    clip, t5 = singles

    def run(clip_text=CLIP_TEXT, t5_text=T5_TEXT, latent=LATENT, **options):
        given = {"guidance": 3.5, "seed": 5, "steps": STEPS, "sampler": "euler", "scheduler": "simple", **options}
        return WordAblation.execute(model, clip, t5, clip_text, t5_text, latent, **given).result

    return run


def test_every_word_of_both_streams_and_no_sign(ablate):
    plot, sentence, data, maps = ablate()
    data = json.loads(data)
    assert [(each["road"], each["word"]) for each in data["words"]] == [
        *(("T5", word) for word in ("a", "chartreuse", "circle", "left", "of", "stripes")),
        ("CLIP", "at"),
        ("CLIP", "night"),
    ]
    assert data["words"][1]["tokens"] > 1, "a word of several tokens is one"
    assert data["words"][2]["start"] == T5_TEXT.index("circle")
    assert len(data["sigmas"]) == 3 and all(len(each["encoded again"]) == 3 for each in data["words"])
    assert data["cost"] == {"plain": STEPS, "extra": 3 * (2 * 6 + 2 + 1), "times": 1 + 3 * 15 / STEPS}
    assert data["sentence"] == sentence and plot.ndim == 4 and maps.shape[0] == 1 and maps.std() > 0


def test_a_words_numbers_are_those_of_prompts_by_hand(ablate, model, singles):
    """Measured by Encoder Influence with the prompt without the word in place of the empty prompt."""
    clip, t5 = singles
    data = json.loads(ablate(words="circle, night", at="1")[2])
    circle, night = data["words"]
    txt, vec = encode_t5(t5, T5_TEXT, COMFYUI, OFF)[0], encode_clip_prompt(clip, CLIP_TEXT, FIRST, False)[0]
    first = len(t5.tokenizer.t5xxl.tokenizer("a chartreuse", add_special_tokens=False)["input_ids"])
    rows = txt.spans[0].tensor
    without = torch.cat([rows[:, :first], rows[:, first + circle["tokens"] :]], 1)
    again = encode_t5(t5, "a chartreuse, left of (stripes)", COMFYUI, OFF)[0].spans[0].tensor[:, : without.shape[1]]
    dark = encode_clip_prompt(clip, "at", FIRST, False)[0]

    def change(t5_null: torch.Tensor, clip_null: ClipVec, stream: str) -> float:
        out, probe = Influence.execute(model, EMPTY, 100, clip_null, T5Text((Span(t5_null),)), "", txt).result
        latent = MMDiTSampler.execute(
            out, join(vec, txt, 3.5), LATENT, None, seed=5, steps=STEPS, sampler="euler", scheduler="simple"
        )[0]
        return probe.reading(latent).numbers("whole run", EMPTY)[f"D_{stream}"]

    assert circle["rows deleted"][0] == pytest.approx(change(without, dark, "t5"), rel=1e-3)
    assert circle["encoded again"][0] == pytest.approx(change(again, dark, "t5"), rel=1e-3)
    assert night["encoded again"][0] == pytest.approx(change(without, dark, "clip"), rel=1e-3)
    assert data["control"]["rows deleted"][0] == pytest.approx(change(rows[:, :-1], dark, "t5"), rel=1e-3, abs=1e-6)
    # leaked: from the one velocity to the other, so within the triangle
    assert circle["leaked"][0] <= circle["rows deleted"][0] + circle["encoded again"][0]
    assert circle["leaked"][0] >= abs(circle["rows deleted"][0] - circle["encoded again"][0])


def test_the_maps_add_up_to_the_change(model, singles, vae):
    """Of each picture of a batch; drawn over the decoded picture there is one tile more."""
    latent, plan = {"samples": torch.zeros(2, 16, 8, 6)}, SamplingPlan(5, 2, "euler", "simple")
    reading = measure(model, *prompts(*singles, CLIP_TEXT, T5_TEXT, "circle, night"), latent, 3.5, plan, [1.0], {})
    assert reading.maps.shape == (2, 2, 4, 3) and not torch.equal(reading.maps[0], reading.maps[1])
    whole = [(reading.maps[:, word].sum() / reading.maps[:, 0].sum()).sqrt() for word in range(2)]
    sizes = [each.encoded[0] / reading.found[0].encoded[0] for each in reading.found]
    assert sizes == pytest.approx([float(each) for each in whole], rel=1e-4)
    alone, over = (draw.maps(reading, each) for each in (None, decode(vae, reading.latent)[0]))
    assert len(alone) == len(over) == 2 and alone[0].width < over[0].width


def test_levels_are_those_of_the_nearest_steps(ablate):
    data = json.loads(ablate(at="0.95, 0.94, 0.1", words="circle")[2])
    assert len(data["sigmas"]) == len(data["steps"]) == 2, "two levels at the same step are measured once"
    assert data["steps"][-1] == STEPS - 1
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        ablate(at="0.9, high")


def test_a_batch_and_no_words_for_one_stream(ablate):
    data = json.loads(ablate(clip_text="", latent={"samples": torch.zeros(2, 16, 8, 8)}, words="left", at="0.9")[2])
    assert [(each["road"], each["word"]) for each in data["words"]] == [("T5", "left")]
    with pytest.raises(ValueError, match="two prompts without a word"):
        ablate(clip_text="", t5_text="...")
    with pytest.raises(ValueError, match="neither prompt has the word 'square'"):
        ablate(words="square")


def test_words_that_clip_does_not_read_are_none(ablate):
    long = "night " * 80
    data = json.loads(ablate(clip_text=long, t5_text="", at="0.9", steps=2)[2])
    assert len(data["words"]) == 75


def test_a_clip_without_the_encoder_is_reported(model, singles):
    clip, t5 = singles
    with pytest.raises(ValueError, match="has no T5"):
        WordAblation.execute(model, clip, clip, "a", "b", LATENT, 3.5, 0, 2, "euler", "simple")


# ---- extras


def test_the_run_has_the_picture_that_the_prompt_came_with(model, singles):
    """Kontext: the numbers equal those of Encoder Influence on the CONDITIONING with its reference."""
    clip, t5 = singles
    reference = {"samples": torch.randn(1, 16, 6, 10, generator=torch.Generator().manual_seed(3))}
    vec, txt = encode_clip_prompt(clip, CLIP_TEXT, FIRST, False)[0], encode_t5(t5, T5_TEXT, COMFYUI, OFF)[0]
    other = join(encode_clip_prompt(clip, "?", FIRST, False)[0], encode_t5(t5, "another", COMFYUI, OFF)[0], 1.0)
    like = ReferenceLatent.execute(other, reference)[0]

    def words(**options):
        return json.loads(
            WordAblation.execute(
                model, clip, t5, CLIP_TEXT, T5_TEXT, LATENT, 3.5, 5, STEPS, "euler", "simple", "1", "night", **options
            ).result[2]
        )["words"][0]["encoded again"][0]

    dark = encode_clip_prompt(clip, "at", FIRST, False)[0]
    out, probe = Influence.execute(model, EMPTY, 100, dark, T5Text((Span(txt.spans[0].tensor * 0),))).result
    positive = ReferenceLatent.execute(join(vec, txt, 3.5), reference)[0]
    latent = MMDiTSampler.execute(
        out, positive, LATENT, None, seed=5, steps=STEPS, sampler="euler", scheduler="simple"
    )[0]
    found = words(like=like)
    assert found == pytest.approx(probe.reading(latent).numbers("whole run", EMPTY)["D_clip"], rel=1e-3)
    assert found != pytest.approx(words(), rel=1e-2), "the picture has an effect"


def test_a_model_that_needs_a_picture_is_refused_without_one(tiny, singles):
    weights = comfy.utils.load_torch_file(str(tiny["flux"]))
    weights["img_in.weight"] = torch.cat([weights["img_in.weight"], torch.zeros(128, 64)], 1)
    canny = comfy.sd.load_diffusion_model_state_dict(weights)
    with pytest.raises(ValueError, match="Word Ablation: this model reads a picture in addition.*to `like`"):
        WordAblation.execute(canny, *singles, CLIP_TEXT, T5_TEXT, LATENT, 3.5, 0, 2, "euler", "simple")
    like = join(encode_clip_prompt(singles[0], "?", FIRST, False)[0], encode_t5(singles[1], "?", COMFYUI, OFF)[0], 1.0)
    like[0][1]["concat_latent_image"] = torch.ones(1, 16, 8, 8)
    WordAblation.execute(canny, *singles, CLIP_TEXT, T5_TEXT, LATENT, 3.5, 0, 2, "euler", "simple", "1", "night", like)


@pytest.mark.parametrize(
    "written, chosen",
    [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "CAF\u00c9"), ("don\u2019t", "don't")],
    ids=["NFC", "NFD", "apostrophe"],
)
def test_a_word_is_found_however_it_is_spelled(singles, written, chosen):
    clip, t5 = singles
    _, of_t5 = prompts(clip, t5, "", f"a red {written} here", chosen)
    assert [word.text for word in of_t5.words] == [written]
    assert without(of_t5.text, of_t5.words[0]) == "a red here"
