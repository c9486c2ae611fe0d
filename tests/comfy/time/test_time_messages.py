"""Messages of the nodes for times: prompts by their text, prompts that never act, invalid times."""

import comfy.model_sampling
import comfy.samplers
import pytest
import torch

from flux_duet.nodes.condition.controls import ActiveRange, controls_of
from flux_duet.nodes.condition.nodes import DualPrompt
from flux_duet.nodes.condition.place.nodes import Region
from flux_duet.nodes.condition.time.nodes import PartOfRun, PromptAt, Schedule, ScheduleText
from flux_duet.nodes.condition.timepoints import PERCENT, Point
from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode

pytestmark = pytest.mark.usefixtures("as_executed")

TEXTS = ("a calm sea", "a forest\nat  night, " + "\u6771" * 60)
SIGMAS = comfy.samplers.normal_scheduler(comfy.model_sampling.ModelSamplingFlux(), 10)


@pytest.fixture(scope="module")
def sockets(singles):
    with torch.inference_mode():
        vecs = {f"vec{at}": ClipEncode.execute(singles[0], text)[0] for at, text in enumerate(TEXTS, 1)}
        txts = {f"txt{at}": T5Encode.execute(singles[1], text)[0] for at, text in enumerate(TEXTS, 1)}
    return vecs, txts


def lines_of(sockets, clip, t5, **known) -> list[str]:
    return Schedule.execute(*sockets, clip, t5, **known).ui["text"][0].split("\n")


def test_a_schedule_reports_its_prompts_words(sockets):
    first, then, *_, last = lines_of(sockets, "1\n@40% 2", "2\n@2 .. 6 1")
    assert first == "CLIP from the start: a calm sea"
    assert then == "CLIP from 40 % of time: a forest at night, " + "\u6771" * 37 + " ..."
    assert last == "T5 fading in from step 2 to step 6: a calm sea"


def test_a_prompt_that_never_acts_is_told_first_and_in_the_log(sockets, caplog):
    lines = lines_of(sockets, "1\n@90 2", "1\n@9 2", sigmas=SIGMAS)
    assert lines[0].startswith("CLIP, from step 90") and "acts in none of the run's 10 steps: a forest" in lines[0]
    assert sum("acts in none" in line for line in lines) == 1 and "acts in none" in caplog.text
    assert [line.split(":")[0].split(",")[0] for line in lines[1:]] == [
        "CLIP from the start",
        "CLIP from step 90",
        "T5 from the start",
        "T5 from step 9",
    ], "and then all times"
    assert not any("acts in none" in line for line in lines_of(sockets, "1\n@90 2", "1\n@9 2")), "the run is not known"


def test_the_text_node_hands_on_what_spaces_mean():
    expanded = ScheduleText.execute(["1", 0], ["2", 0], "a\n@40 % b", "a\n@2 .. 6\n% b").expand
    (inputs,) = (node["inputs"] for node in expanded.values() if node["class_type"] == "FluxDuetSchedule")
    assert (inputs["clip_timeline"], inputs["t5_timeline"]) == ("1\n@40% 2", "1\n@2..6 2")
    assert [node["inputs"]["text"] for node in expanded.values() if "text" in node["inputs"]] == ["a", "b", "a", "% b"]


def test_spaces_before_percent_are_read_everywhere(sockets):
    (vecs, txts), mask = sockets, torch.ones(1, 8, 8)
    prompt = DualPrompt.execute(vecs["vec1"], txts["txt1"], 3.5)[0]
    ((_, entry),) = PartOfRun.execute(prompt, "10 %", "40 %")[0]
    (control,) = (each for each in controls_of(entry) if isinstance(each, ActiveRange))
    assert (control.when.start, control.when.end) == (Point(10, PERCENT), Point(40, PERCENT))
    region = Region.execute(txts["txt1"], txts["txt2"], mask, start="10 %", end="40 %")[0]
    assert [each.when.end for each in region.spans[0].controls if hasattr(each, "when")] == [Point(40, PERCENT)]
    scheduled = Schedule.execute(vecs, txts, "1\n@40% 2", "1\n@40% 2")[0]
    late = PromptAt.execute(scheduled, "50 %")[0]
    assert torch.equal(late[0][1]["pooled_output"], vecs["vec2"].spans[0].tensor)


def test_a_part_of_the_run_without_a_moment_is_an_error(sockets):
    prompt = DualPrompt.execute(sockets[0]["vec1"], sockets[1]["txt1"], 3.5)[0]
    with pytest.raises(ValueError, match="Got 60% to 40% for a part of the run.*which is empty"):
        PartOfRun.execute(prompt, "60%", "40%")
    with pytest.raises(ValueError, match="Got 8 to 4 for a part"):
        Region.execute(sockets[1]["txt1"], sockets[1]["txt2"], torch.ones(1, 8, 8), start="8", end="4")
