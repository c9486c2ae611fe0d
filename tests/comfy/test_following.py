"""Controls where native nodes stand between them and the sampler: each acts on what the CONDITIONING holds, or says so.

The reference of each is a graph of native nodes: the neighbour on every prompt by itself, and native samplers, chained
where a timeline switches.
"""

from dataclasses import replace

import comfy.controlnet
import comfy.sd
import pytest
import torch
from comfy.ldm.flux.redux import ReduxImageEncoder
from comfy_extras.nodes_flux import FluxKVCache

import nodes
from flux_duet.nodes.condition.blend.nodes import BlendTxt, BlendVec, ClipNegative
from flux_duet.nodes.condition.controls import has_controls
from flux_duet.nodes.condition.nodes import DualPrompt, SplitConditioning
from flux_duet.nodes.condition.place.nodes import NegativeTxt, Region, Route
from flux_duet.nodes.condition.time.nodes import PartOfRun, PromptAt, Schedule
from flux_duet.nodes.sample.nodes import ApplyDuet, MMDiTSampler
from flux_duet.nodes.streams import ClipVec, Span, T5Text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("as_executed")]

STEPS, SIDE = 4, 8
LATENT = {"samples": torch.zeros(1, 16, SIDE, SIDE)}
LEFT = torch.zeros(1, 16, 16)
LEFT[..., :8] = 1
FULL = torch.ones(1, 16, 16)


@pytest.fixture(scope="module")
def model(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vec(seed: int, batch: int = 1) -> ClipVec:
    return ClipVec((Span(randn(seed, batch, 64)),))


def txt(seed: int, length: int = 9, batch: int = 1) -> T5Text:
    return T5Text((Span(randn(seed, batch, length, 64)),))


A, B, C = (vec(1), txt(2)), (vec(3), txt(4, 13)), (vec(5), txt(6, 7))


def prompt(clip=A[0], t5=A[1]) -> list:
    return DualPrompt.execute(clip, t5, 3.5)[0]


def sampled(model, positive, negative=None, latent=LATENT, cfg=1.0, **options) -> torch.Tensor:
    return MMDiTSampler.execute(
        model, positive, latent, negative, cfg=cfg, seed=5, steps=STEPS, sampler="euler", scheduler="simple", **options
    )[0]["samples"]


def natively(model, positive, negative=None, latent=LATENT, cfg=1.0) -> torch.Tensor:
    return nodes.KSampler().sample(
        model, 5, STEPS, cfg, "euler", "simple", positive, negative or positive, latent, 1.0
    )[0]["samples"]


def chained(model, *parts: tuple[int, list, list], cfg=1.0) -> torch.Tensor:
    """Native samplers one after another, each up to its step, with (positive, negative)."""
    latent, start = LATENT, 0
    for end, positive, negative in parts:
        latent = nodes.KSamplerAdvanced().sample(
            model,
            "enable" if start == 0 else "disable",
            5,
            STEPS,
            cfg,
            "euler",
            "simple",
            positive,
            negative,
            latent,
            start,
            end,
            "enable" if end < STEPS else "disable",
        )[0]
        start = end
    return latent["samples"]


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def scheduled(clip="1\n@2 2", t5="1\n@2 2", a=A, b=B) -> list:
    vecs, txts = {"vec1": a[0], "vec2": b[0]}, {"txt1": a[1], "txt2": b[1]}
    if "2" not in clip.split():
        del vecs["vec2"]
    if "2" not in t5.split():
        del txts["txt2"]
    return Schedule.execute(vecs, txts, clip, t5)[0]


def weighted(text: T5Text) -> T5Text:
    return T5Text((Span(text.spans[0].tensor, bias=torch.linspace(-1, 1, 9)[None]),))


CONTROLLED = {
    "steps": lambda a, b: scheduled(a=a, b=b),
    "fade": lambda a, b: scheduled("1\n@1..3 2", "1\n@1..3 2", a, b),
    "weights": lambda a, b: prompt(a[0], weighted(a[1])),
    "region": lambda a, b: prompt(a[0], Region.execute(a[1], b[1], LEFT)[0]),
    "region that ends": lambda a, b: prompt(a[0], Region.execute(a[1], b[1], LEFT, end="2")[0]),
    "NAG": lambda a, b: prompt(a[0], NegativeTxt.execute(a[1], b[1])[0]),
    "route": lambda a, b: Route.execute(prompt(*a), prompt(*b), "1, 3", "2-3")[0],
    "CLIP negative": lambda a, b: prompt(ClipNegative.execute(a[0], b[0], 2.0, blocks="1-")[0], a[1]),
}
over_each = pytest.mark.parametrize("name", CONTROLLED)


def controlled(name: str, a=A, b=B) -> list:
    out = CONTROLLED[name](a, b)
    assert has_controls(out)
    return out


def zero_out(conditioning: list) -> list:
    return nodes.ConditioningZeroOut().zero_out(conditioning)[0]


def concat(conditioning: list, other: list | None = None) -> list:
    return nodes.ConditioningConcat().concat(conditioning, other or prompt(*C))[0]


def average(conditioning: list, strength: float = 0.7) -> list:
    return nodes.ConditioningAverage().addWeighted(conditioning, prompt(*C), strength)[0]


def multiplied(conditioning: list, by: float = 0.5) -> list:
    return nodes.ConditioningMultiply().multiply(conditioning, by)[0]


def redux(strength_type: str = "multiply", strength: float = 0.6):
    """StyleModelApply with a small Redux of random weights."""
    torch.manual_seed(7)
    model = ReduxImageEncoder(redux_dim=8, txt_in_features=64, device="cpu", dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    style = comfy.sd.StyleModel(model)
    seen = type("ClipVisionOutput", (), {"last_hidden_state": randn(8, 1, 5, 8)})()

    def apply(conditioning: list) -> list:
        return nodes.StyleModelApply().apply_stylemodel(conditioning, style, seen, strength, strength_type)[0]

    return apply


APPENDING = {"concat": concat, "redux": redux(), "redux, attn_bias": redux("attn_bias", 0.4)}


# ---- zeroed


@over_each
def test_zeroed_out_it_is_its_prompt_zeroed_out(model, name):
    """As a negative, which is what ConditioningZeroOut is for."""
    positive = controlled(name)
    expected = natively(model, prompt(), zero_out(prompt()), cfg=3.0)
    assert torch.equal(sampled(model, prompt(), zero_out(positive), cfg=3.0), expected)
    assert torch.equal(natively(ApplyDuet.execute(model)[0], prompt(), zero_out(positive), cfg=3.0), expected)


def test_a_scheduled_prompt_against_its_own_zero(model):
    """The issue's own case: true CFG of a timeline is not CFG 1."""
    out = sampled(model, scheduled(), zero_out(scheduled()), cfg=3.0)
    expected = chained(model, (2, prompt(), zero_out(prompt())), (STEPS, prompt(*B), zero_out(prompt())), cfg=3.0)
    assert relative(out, expected) < 5e-6
    assert relative(out, sampled(model, scheduled())) > 1e-2


def test_one_road_zeroed_takes_that_roads_controls_alone(model):
    both = Route.execute(prompt(), prompt(*B), "1, 3", "2-3")[0]
    no_vec = nodes.node_helpers.conditioning_set_values(both, {"pooled_output": torch.zeros(1, 64)})
    expected = Route.execute(prompt(ClipVec((Span(torch.zeros(1, 64)),))), prompt(*B), "none", "2-3")[0]
    assert torch.equal(sampled(model, no_vec), sampled(model, expected))


# ---- rows behind it


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_timeline_leaves_rows_behind_it_where_they_are(model, neighbour):
    behind = APPENDING[neighbour]
    each = [behind(one) for one in (prompt(), prompt(*B))]
    expected = chained(model, (2, each[0], each[0]), (STEPS, each[1], each[1]))
    # Concat and Redux keep the first prompt's vec and the like, so that the CLIP road is the timeline's.
    out = sampled(model, behind(scheduled()))
    assert relative(out, expected) < 5e-6
    assert relative(out, sampled(model, scheduled())) > 1e-4, "and they count"


@pytest.mark.parametrize("neighbour", APPENDING)
@pytest.mark.parametrize("t5", ["1\n@2 2", "1\n@1..3 2"])
def test_split_joined_and_taken_at_a_step_they_are_still_there(model, neighbour, t5):
    behind = APPENDING[neighbour]
    conditioning = behind(scheduled("1\n@2 2", t5))
    again = DualPrompt.execute(*SplitConditioning.execute(conditioning).result)[0]
    assert torch.equal(sampled(model, again), sampled(model, conditioning))
    for step, parts in ((0, A), (3, B)):
        alone = PromptAt.execute(conditioning, str(step))[0]
        assert not has_controls(alone)
        assert torch.equal(natively(model, alone), natively(model, behind(prompt(*parts))))


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_fade_with_rows_behind_it(model, neighbour):
    """By hand: at each step the two prompts side by side, weighted, and the rows behind them."""
    behind, latent, levels = APPENDING[neighbour], LATENT, [0, 1 / 3, 2 / 3, 1]
    faded = behind(scheduled("1", "1\n@1..3 2"))
    for step, share in enumerate(levels):
        text = BlendTxt.execute(A[1], "join", share, B[1])[0]
        latent = MMDiTSampler.execute(
            model,
            behind(prompt(t5=text)),
            latent,
            seed=5,
            steps=STEPS,
            sampler="euler",
            scheduler="simple",
            start_step=step,
            end_step=step + 1,
            add_noise=step == 0,
            leftover_noise=step < STEPS - 1,
        )[0]
    assert relative(sampled(model, faded), latent["samples"]) < 5e-6


@pytest.mark.parametrize("neighbour", APPENDING)
def test_what_lies_over_a_prompt_lies_over_the_rows_behind_it(model, neighbour):
    """A region that is everywhere, a route of all blocks and a text beside itself are native prompts with the rows."""
    behind = APPENDING[neighbour]
    base, other = behind(prompt()), behind(prompt(t5=B[1]))
    text, _ = (SplitConditioning.execute(each)[1] for each in (other, base))
    over = Region.execute(SplitConditioning.execute(base)[1], text, FULL, base_ratio=0.0, blocks="0-4")[0]
    assert relative(sampled(model, prompt(t5=over)), natively(model, other)) < 5e-6
    routed = Route.execute(base, other, "none", "0-4")[0]
    assert relative(sampled(model, routed), natively(model, other)) < 5e-6
    for mode, weight in (("join", 0.5), ("both", 1.0)):
        mixed = BlendTxt.execute(A[1], mode, weight, A[1])[0]
        twice = behind(prompt(t5=mixed))
        plain = behind(prompt()) if mode == "join" else behind(concat(prompt(), prompt()))
        assert relative(sampled(model, twice), natively(model, plain)) < 5e-6


@pytest.mark.parametrize("neighbour", APPENDING)
def test_a_text_that_ends_leaves_the_prompt_with_its_rows(model, neighbour):
    """The region until step 2, then the base: two chained runs, with the rows and their attention mask in both."""
    behind = APPENDING[neighbour]
    for make, options in ((Region, (B[1], LEFT)), (NegativeTxt, (B[1],))):
        always, ends = (behind(prompt(t5=make.execute(A[1], *options, **end)[0])) for end in ({}, {"end": "2"}))
        ready = ApplyDuet.execute(model)[0]
        plain = behind(prompt())
        assert relative(sampled(model, ends), chained(ready, (2, always, always), (STEPS, plain, plain))) < 5e-6


def test_a_blend_keeps_each_prompts_own_attention_mask(model):
    """Two prompts with Redux, side by side at a half each: natively, by a mask that is written down token by token."""
    one, other = (redux("attn_bias", strength)(prompt(t5=t5)) for strength, t5 in ((0.4, A[1]), (2.0, B[1])))
    texts = [SplitConditioning.execute(each)[1] for each in (one, other)]
    half = BlendTxt.execute(texts[0], "join", 0.5, texts[1])[0]
    rows = torch.cat([one[0][0], other[0][0]], 1)
    mask, start = torch.zeros(1, rows.shape[1] + 1, rows.shape[1] + 1), 0
    for (own, entry), length in ((one[0], 9 + 5), (other[0], 13 + 5)):
        here, given = slice(start, start + length), entry["attention_mask"].float()
        assert own.shape[1] == length and given.shape[1] == length + 1
        mask[:, here, here], mask[:, -1:, here] = given[:, :-1, :-1], given[:, -1:, :-1]
        start += length
    mask[:, :, :-1] += torch.tensor(0.5).log()
    native = [[rows, {**one[0][1], "attention_mask": mask}]]
    assert relative(sampled(model, prompt(t5=half)), natively(model, native)) < 2e-5
    with pytest.raises(ValueError, match="'lerp' mixes rows.*attention mask"):
        BlendTxt.execute(A[1], "lerp", 0.5, T5Text((replace(A[1].spans[0], attn_mask=texts[0].spans[0].attn_mask),)))


def test_another_text_takes_no_attention_mask_of_the_one_before(model):
    """Split, and another T5 prompt in the place of Redux' rows: the mask was theirs."""
    made = redux("attn_bias", 0.4)(prompt())
    clip = SplitConditioning.execute(made)[0]
    assert torch.equal(natively(model, prompt(clip, B[1])), natively(model, prompt(A[0], B[1])))


def test_a_timeline_of_prompts_with_attention_masks_is_told():
    text = SplitConditioning.execute(redux("attn_bias", 0.4)(prompt()))[1]
    with pytest.raises(ValueError, match="carries an attention mask.*apply Redux to what comes out"):
        Schedule.execute({"vec1": A[0]}, {"txt1": text, "txt2": B[1]}, "1", "1\n@2 2")
    percent = Schedule.execute({"vec1": A[0]}, {"txt1": text, "txt2": B[1]}, "1", "1\n@40% 2")[0]
    assert [("attention_mask" in entry) for _, entry in percent] == [True, False]


def test_a_timeline_of_prompts_with_other_extras_is_told():
    other = T5Text((Span(B[1].spans[0].tensor, {"reference_latents": [torch.zeros(1, 16, 4, 4)]}),))
    with pytest.raises(ValueError, match="differ in reference pictures .ReferenceLatent.*set it after Prompt Schedule"):
        Schedule.execute({"vec1": A[0]}, {"txt1": A[1], "txt2": other}, "1", "1\n@2 2")


# ---- mixed, multiplied


@pytest.mark.parametrize("name", ["steps", "fade"])
def test_a_timeline_in_a_mixture_is_refused_before_anything_is_sampled(model, name, monkeypatch):
    monkeypatch.setattr(model.model.diffusion_model, "_forward", lambda *_, **__: pytest.fail("it was sampled"))
    for run in (sampled, lambda model, positive: natively(ApplyDuet.execute(model)[0], positive)):
        with pytest.raises(ValueError, match="Conditioning Average does.*Mix the prompts first"):
            run(model, average(controlled(name)))
    with pytest.raises(ValueError, match="Conditioning Average does"):
        SplitConditioning.execute(average(controlled(name)))


def test_a_mixture_with_itself_is_no_mixture(model):
    same = nodes.ConditioningAverage().addWeighted(scheduled(), prompt(), 0.3)[0]
    assert relative(sampled(model, same), sampled(model, scheduled())) < 1e-5


def test_what_lies_over_a_mixture_acts_on_it(model):
    mixed = SplitConditioning.execute(average(prompt()))[1]
    clip = SplitConditioning.execute(average(prompt()))[0]
    for over in (lambda t5: Region.execute(t5, B[1], LEFT)[0], lambda t5: NegativeTxt.execute(t5, B[1])[0]):
        assert torch.equal(sampled(model, average(prompt(t5=over(A[1])))), sampled(model, prompt(clip, over(mixed))))
    routed = average(Route.execute(prompt(), prompt(*B), "1, 3", "2-3")[0])
    expected = Route.execute(average(prompt()), prompt(*B), "1, 3", "2-3")[0]
    assert torch.equal(sampled(model, routed), sampled(model, expected))


def test_weights_on_rows_that_were_cut_are_told(model):
    cut = [[each[:, :5], entry] for each, entry in prompt(t5=weighted(A[1]))]
    with pytest.raises(ValueError, match="weights in the attention for 9 rows.*left 5"):
        sampled(model, cut)


@over_each
def test_multiplied_all_of_its_texts_are(model, name):
    """The same as with every prompt multiplied before."""

    def half(stream):
        return type(stream)(tuple(Span(span.tensor * 0.5, bias=span.bias) for span in stream.spans))

    halves = [tuple(half(stream) for stream in pair) for pair in (A, B)]
    out = sampled(model, multiplied(controlled(name)))
    assert relative(out, sampled(model, controlled(name, *halves))) < 5e-6


# ---- neighbours that read the prompt


class Watching(comfy.controlnet.ControlBase):
    """A ControlNet that keeps what it is given and adds nothing."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        self.seen.append(cond["c_crossattn"].clone())

    def get_models(self):
        return []

    def copy(self):
        return self


@over_each
def test_a_controlnet_reads_the_prompt_that_plays_and_no_other(model, name):
    watching = Watching()
    with_it = nodes.node_helpers.conditioning_set_values(controlled(name), {"control": watching})
    out = sampled(model, with_it)
    assert torch.equal(out, sampled(model, controlled(name)))
    own, other = A[1].spans[0].tensor, B[1].spans[0].tensor
    if name == "fade":
        assert [seen.shape[1] for seen in watching.seen] == [9, 22, 22, 13]
    elif name == "steps":
        assert all(torch.equal(*pair) for pair in zip(watching.seen, [own, own, other, other], strict=True))
    else:
        assert all(torch.equal(seen, own) for seen in watching.seen)


@pytest.mark.parametrize("name", ["region", "NAG", "route", "weights"])
def test_under_flux_kv_cache(model, name):
    """The keys of references are kept from the first step on: as if they were computed with the prompt of then."""
    reference = {"reference_latents": [randn(9, 1, 16, 6, 6)], "reference_latents_method": "index"}
    plain = {
        "region": lambda: prompt(t5=Region.execute(A[1], A[1], LEFT, base_ratio=0.0, blocks="0-4")[0]),
        "NAG": lambda: prompt(t5=NegativeTxt.execute(A[1], A[1], 4.0, 10.0, 1.0)[0]),
        "route": lambda: Route.execute(prompt(), prompt(), "1, 3", "2-3")[0],
        "weights": lambda: prompt(t5=T5Text((Span(A[1].spans[0].tensor, bias=torch.zeros(1, 9)),))),
    }[name]

    def cached(positive):
        conditioning = nodes.node_helpers.conditioning_set_values(positive, reference)
        return sampled(FluxKVCache.execute(model)[0], conditioning)

    native = natively(FluxKVCache.execute(model)[0], nodes.node_helpers.conditioning_set_values(prompt(), reference))
    expected = native if name != "region" else None
    if expected is not None:
        assert relative(cached(plain()), expected) < 1e-5, "what says the same changes nothing"
    assert relative(cached(controlled(name)), native) > 1e-5


def test_a_regions_mask_is_over_the_whole_picture_under_set_area(model):
    """An area that is the left half, and a region of the left half of the picture: all of the area is the region's."""
    area = nodes.ConditioningSetArea()

    def in_left(conditioning):
        return area.append(conditioning, 8 * SIDE // 2, 8 * SIDE, 0, 0, 1.0)[0]

    def over(part):  # the base of the rest of the picture
        return sampled(model, [*prompt(*C), *in_left(part)])

    left = prompt(t5=Region.execute(A[1], B[1], LEFT, base_ratio=0.0, blocks="0-4")[0])
    right = prompt(t5=Region.execute(A[1], B[1], 1 - LEFT, base_ratio=0.0, blocks="0-4")[0])
    everywhere = prompt(t5=Region.execute(A[1], B[1], FULL, base_ratio=0.0, blocks="0-4")[0])
    assert relative(over(left), over(everywhere)) < 1e-6
    assert relative(over(right), over(left)) > 1e-4


# ---- batches


def test_batches_of_two_sizes_are_told():
    pair, three = txt(1, batch=2), txt(2, batch=3)
    for make in (
        lambda: BlendTxt.execute(pair, "both", 0.5, three),
        lambda: Region.execute(pair, three, LEFT),
        lambda: NegativeTxt.execute(pair, three),
        lambda: Route.execute(prompt(vec(1), pair), prompt(vec(2), three), "none", "1"),
        lambda: ClipNegative.execute(vec(1, 2), vec(2, 3), 1.0),
    ):
        with pytest.raises(ValueError, match="a batch of 2 prompts and one of 3"):
            make()
    with pytest.raises(ValueError, match="a batch of 2 prompts and one of 3"):
        BlendVec.execute(vec(1, 2), "lerp", 0.5, vec(2, 3))


def test_one_prompt_goes_with_all_of_a_batch(model):
    latent = {"samples": torch.zeros(2, 16, SIDE, SIDE)}
    pair = txt(1, batch=2)
    together = sampled(model, prompt(vec(1), Region.execute(pair, B[1], LEFT)[0]), latent=latent)
    for number in range(2):
        own = T5Text((Span(pair.spans[0].tensor[number : number + 1]),))
        alone = sampled(model, prompt(vec(1), Region.execute(own, B[1], LEFT)[0]), latent=latent)
        assert relative(together[number], alone[number]) < 5e-6


# ---- steps that count anew, or never come


def test_a_run_that_starts_in_the_middle_tells_that_its_steps_are_its_own(model, caplog):
    ready = ApplyDuet.execute(model)[0]
    chained(ready, (2, scheduled(), scheduled()), (STEPS, scheduled(), scheduled()))
    told = [record.message for record in caplog.records if "counted from its own first step" in record.message]
    assert len(told) == 1 and "start_step" in told[0]
    caplog.clear()
    chained(ready, (2, prompt(), prompt()), (STEPS, prompt(), prompt()))
    sampled(model, scheduled(), start_step=2, add_noise=False)
    assert not [record for record in caplog.records if "own first step" in record.message]


@pytest.mark.parametrize(
    "make",
    [
        lambda step: scheduled("1", f"1\n@{step} 2"),
        lambda step: scheduled(f"1\n@{step}..20 2", "1"),
        lambda step: prompt(t5=Region.execute(A[1], B[1], LEFT, start=f"{step}")[0]),
        lambda step: PartOfRun.execute(prompt(), f"{step}", "100%")[0],
    ],
)
def test_a_step_that_never_comes_is_told(model, make, caplog):
    def run(step):
        caplog.clear()
        sampled(model, prompt(), make(step), cfg=2.0)
        return [record.message for record in caplog.records if "never acts" in record.message]

    assert run(3) == []
    (told,) = run(4)
    assert "step 4 never acts: this run ends before step 4" in told


def test_a_prompt_that_begins_later_is_no_swapped_model(model):
    """Nothing is evaluated at first, as natively; the controls act from then on."""
    late = nodes.ConditioningSetTimestepRange().set_range(controlled("weights"), 0.3, 1.0)[0]
    native = nodes.ConditioningSetTimestepRange().set_range(prompt(), 0.3, 1.0)[0]
    assert relative(sampled(model, late), natively(model, native)) > 1e-5
