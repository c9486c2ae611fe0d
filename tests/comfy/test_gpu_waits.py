"""What a GPU would wait for: plans are made once for a run, a block neither reads numbers back nor moves tensors, and a
heatmap finds its tokens once for a forward.

No graphics card is needed: fake tensors know their device, and a dispatch mode sees every operation on them.
"""

import itertools

import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from flux_duet.nodes.condition.blocks import Blocks, Depth
from flux_duet.nodes.condition.controls import Bias, Nag, PlacedText
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.encode.nodes import T5Encode
from flux_duet.nodes.probe.heat.accumulate import Forward
from flux_duet.nodes.probe.heat.nodes import Heatmap
from flux_duet.nodes.sample.attention import DuetAttention
from flux_duet.nodes.sample.attention_groups import Texts, TokenLayout
from flux_duet.nodes.sample.attention_plans import MOST, Plans
from flux_duet.tests.comfy import sampling
from flux_duet.tests.comfy.inputs import randn
from flux_duet.tests.comfy.place.runs import LATENT, SIDE, A, B, C, half, prompt, sampled

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda:0")
READS = ("_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "bincount", "masked_select")


class Waits(TorchDispatchMode):
    """`found`: operations that read numbers back from a device, or take tensors of two devices or move one."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        given = {each.device for each in tensors([args, kwargs]) if each.ndim}
        if name in READS or len(given | {each.device for each in tensors(out) if each.ndim}) > 1:
            self.found.append(name)
        return out


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors([*value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)


def test_a_wait_would_be_noticed():
    with FakeTensorMode():
        on, off = torch.ones(3, 4, device=CUDA), torch.arange(2)
        for wait in (lambda: on[off], lambda: on.cpu(), lambda: off.to(CUDA)):
            with Waits() as waits:
                wait()
            assert waits.found
        with Waits() as waits:
            on[:, off.to(device=CUDA)[:1]].add(1.0).softmax(-1)
        assert waits.found == ["_to_copy"]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_block_waits_for_nothing(monkeypatch, weighted):
    """Two soft regions and a negative that acts in some blocks: in a run's first forward each plan is made once, from
    the second on nothing is moved or read."""
    depth, mask = Depth(2, 2), torch.linspace(0, 1, 64).reshape(1, 8, 8)
    texts = [PlacedText(torch.zeros(1, 5, 8), mask=mask), PlacedText(torch.zeros(1, 3, 8), mask=1 - mask, ratio=0.5),
             Nag(torch.zeros(1, 4, 8), blocks=Blocks.parse("1-2"))]  # fmt: skip
    layout, plans = TokenLayout(18, 8, 8), Plans()
    controls = (*texts, *([Bias(torch.linspace(-1, 1, 6)[None])] if weighted else []))
    grouped = Texts.groups

    def in_main_memory(*args):
        with unset_fake_temporarily():  # fake tensors have no values
            return grouped(*args)

    monkeypatch.setattr(Texts, "groups", in_main_memory)
    found = []
    for _ in range(3):
        attention = DuetAttention(controls, layout, depth, plans=plans)
        assert attention.case and (attention.bias is not None) == weighted
        with FakeTensorMode(allow_non_fake_inputs=True), Waits() as waits:
            q, k, v = (torch.empty(1, 2, layout.total, 16, device=CUDA, dtype=torch.bfloat16) for _ in range(3))
            for kind, number in (("double", 0), ("double", 1), ("single", 0), ("single", 1)):
                options = {"block_type": kind, "block_index": number}
                attention(attention_pytorch, q, k, v, 2, skip_reshape=True, transformer_options=options)
        found.append(waits.found)
    assert found[0] and found[1:] == [[], []]


@pytest.fixture
def planned(monkeypatch):
    """The calls of Texts.groups."""
    calls, grouped = [], Texts.groups
    monkeypatch.setattr(Texts, "groups", lambda *args: calls.append(args) or grouped(*args))
    return calls


SOFT = torch.linspace(0, 1, 31)[None, :, None].expand(1, 31, 17)


@pytest.mark.usefixtures("as_executed")
@pytest.mark.parametrize("case", ["one", "a batch", "both prompts controlled", "a mask for each picture"])
def test_a_run_plans_once(model, planned, case):
    region = prompt(Region.execute(Region.execute(A, B, SOFT, base_ratio=0.3)[0], C, 1 - SOFT)[0])
    latent = {"samples": torch.zeros(1 + ("batch" in case or "each" in case), 16, SIDE, SIDE)}
    if "each" in case:
        region = prompt(Region.execute(A, B, torch.cat([half("left"), half("right")]))[0])
    negative, cfg = (region, 3.0) if "both" in case else (None, 1.0)
    sampled(model, region, negative, cfg, latent=latent, steps=4)
    assert len(planned) == 1
    sampled(model, region, negative, cfg, latent=latent, steps=2)
    assert len(planned) == 2, "a run's plans end with it"


def test_a_plan_is_for_its_masks_and_weights_alone():
    """Prompts of one shape share a run's plans: each still gets the result that it gets with plans of its own."""
    layout, mask = TokenLayout(11, 8, 8), torch.linspace(0, 1, 64).reshape(1, 8, 8)
    q, k, v = (randn(seed, 1, 2, layout.total, 16) for seed in (1, 2, 3))
    shared, found = Plans(), []
    for own, weight, ratio in itertools.product((mask, 1 - mask), (0.0, 1.0), (0.3, 0.5)):
        controls = PlacedText(torch.zeros(1, 5, 8), mask=own, ratio=ratio), Bias(torch.full((1, 6), weight))
        each = []
        for plans in (shared, Plans()):
            attention = DuetAttention(controls, layout, Depth(1, 1), plans=plans)
            options = {"block_type": "double", "block_index": 0}
            each.append(attention(attention_pytorch, q, k, v, 2, skip_reshape=True, transformer_options=options))
        assert torch.equal(*each)
        found.append(each[0])
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(found, 2))


@pytest.mark.usefixtures("as_executed")
@pytest.mark.parametrize("where", ["everywhere", "beside a region"])
@pytest.mark.parametrize("measure", ["mass", "flow", "output"])
def test_a_heatmap_reads_in_the_first_block_alone(model, singles, monkeypatch, measure, where):
    """A forward finds in its first block which queries and columns count; later blocks read no number back."""
    read: dict[int, list[str]] = {}

    def watching(name):
        own = getattr(Forward, name)

        def watched(self, block, *args):
            with Waits() as waits:
                own(self, block, *args)
            read.setdefault(block, []).extend(each for each in waits.found if each in READS)

        monkeypatch.setattr(Forward, name, watched)

    for name in ("note", "note_output"):
        watching(name)
    txt = T5Encode.execute(singles[1], "a red circle at night")[0]
    watched, probe = Heatmap.execute(model, txt, "circle, night", measure).result
    given = txt if where == "everywhere" else Region.execute(txt, B, SOFT, base_ratio=0.3)[0]
    latent = sampling.sampled(watched, prompt(given), latent=LATENT, steps=2)
    assert probe.reading(latent).words == ("circle", "night")
    assert read.pop(0) and set(read) == {1, 2, 3, 4} and not any(read.values())


def test_plans_are_few():
    plans, made = Plans(), []
    for number in [*range(MOST + 1), 0, MOST, 1]:
        assert plans.get(number, lambda number=number: made.append(number) or number) == number
    assert made == [*range(MOST + 1), 0, 1], "the one used last is kept"
    assert len(plans._kept) == MOST
