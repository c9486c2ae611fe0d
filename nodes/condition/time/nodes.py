"""The nodes that say when a prompt acts. Imports ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ...compat.execution import GraphBuilder
from ...compat.sampling import percent_to_sigma
from ...notice import show, warn
from ...quoting import shorten
from ...sockets import FluxTxt, FluxVec
from ..choices import DEFAULT_GUIDANCE, GUIDANCE_OFF

if TYPE_CHECKING:
    from ..timepoints import Clock
    from .timeline import Entry

CATEGORY = "Flux Duet/Schedule"
MOST = 24  # prompts in a stream
MARKS = (
    "A line that begins with @8 starts the next prompt at step 8, with @40% at 40 % of time, with @s0.7 at sigma 0.7. "
    "@8..12 fades it in from step 8 to step 12."
)
FOR_A_SAMPLER = "For a sampler. Times in steps and fades need MMDiT Sampler, or Apply Duet before a native sampler."


def _run(model, sigmas) -> Clock:
    """What is known of the run before it starts."""
    from ..timepoints import Clock

    sigma_at = None if model is None else percent_to_sigma(model)
    return Clock(None if sigmas is None else sigmas.tolist(), sigma_at)


def _guidance():
    return io.Float.Input(
        "guidance", default=DEFAULT_GUIDANCE, min=GUIDANCE_OFF, max=100.0, step=0.1, round=0.01,
        tooltip="Distilled guidance, as in Dual Prompt. 3.5 is usual for FLUX.1-dev; schnell ignores it. -1 = off.",
    )  # fmt: skip


SIGMAS = (
    "Optional: the noise schedule of the run. With it, native samplers follow switches in steps without Apply Duet, "
    "and the report on the node shows each time in all units."
)
MODEL = "Optional, only for the report on the node: converts percent of time to sigma."
OTHER_UNIT = "Optional. Connect `sigmas` and `model` of the run if `when` and the timeline have different units."


def _what_is_known(sigmas: str = SIGMAS, model: str = MODEL):
    return [
        io.Sigmas.Input("sigmas", optional=True, tooltip=sigmas),
        io.Model.Input("model", optional=True, tooltip=model),
    ]


def _named(entries: list[Entry], prompts: dict, stream: str) -> list:
    """The prompts that a timeline's entries name by the numbers of their inputs."""
    numbered = {name.lstrip("vectx"): prompt for name, prompt in prompts.items()}
    for entry in entries:
        if entry.text.strip() not in numbered:
            raise ValueError(
                f"Prompt Schedule: the {stream} timeline says {shorten(entry.text, 60)!r}, expected the number of a "
                f"connected prompt: {', '.join(numbered)}."
            )
    named = [entry.text.strip() for entry in entries]
    unused = [number for number in numbered if number not in named]
    if unused:
        raise ValueError(
            f"Prompt Schedule: {stream} prompt {unused[0]} is connected, but its timeline never names it. Add it, such "
            f"as '@50% {unused[0]}', or disconnect it."
        )
    return [numbered[number] for number in named]


class Schedule(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        def prompts(name: str, socket):
            names = [f"{name}{number}" for number in range(1, MOST + 1)]
            template = io.Autogrow.TemplateNames(socket, names, min=1)
            return io.Autogrow.Input(f"{name}s", template=template, tooltip="The prompts of the timeline.")

        return io.Schema(
            node_id="FluxDuetSchedule",
            display_name="Prompt Schedule",
            category=CATEGORY,
            description="Changes the prompts during the run, with one timeline for the CLIP prompts and one for the "
            "T5 prompts. A prompt switches at once or fades in. Times are in steps, percent of time or sigma.",
            search_aliases=["prompt travel", "prompt scheduling", "timestep range", "prompt editing", "timeline"],
            inputs=[
                prompts("vec", FluxVec.Input("vec", tooltip="A CLIP prompt.")),
                prompts("txt", FluxTxt.Input("txt", tooltip="A T5 prompt.")),
                io.String.Input(
                    "clip_timeline", default="1", multiline=True,
                    tooltip="When each CLIP prompt acts, by its number. " + MARKS,
                ),
                io.String.Input(
                    "t5_timeline", default="1", multiline=True,
                    tooltip="When each T5 prompt acts, by its number. " + MARKS,
                ),
                _guidance(),
                *_what_is_known(),
            ],
            outputs=[io.Conditioning.Output(tooltip=FOR_A_SAMPLER)],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vecs, txts, clip_timeline="1", t5_timeline="1", guidance=DEFAULT_GUIDANCE, sigmas=None, model=None
    ) -> io.NodeOutput:
        from ..conditioning import join
        from ..hooks import MERGES
        from .scheduling import never_acting, prompt_texts, scheduled, timeline_lines, unit_of
        from .timeline import parse

        clock = _run(model, sigmas)
        clip, t5 = parse(clip_timeline), parse(t5_timeline)
        clip_prompts, t5_prompts = _named(clip, vecs, "CLIP"), _named(t5, txts, "T5")
        vec: Any = scheduled(clip, clip_prompts, clock)
        # ComfyUI's ranges of the two streams meet in one unit alone.
        units = {unit_of(stream, clock) for stream in (clip, t5) if len(stream) > 1} - {None}
        txt: Any = scheduled(t5, t5_prompts, clock, native=len(units) < 2)
        streams = [
            ("CLIP", clip, clock, prompt_texts(clip, clip_prompts)),
            ("T5", t5, clock, prompt_texts(t5, t5_prompts)),
        ]
        report = "\n".join(line for stream in streams for line in timeline_lines(*stream))
        idle = "\n".join(line for stream in streams for line in never_acting(*stream))
        return io.NodeOutput(
            join(vec, txt, guidance, merges=MERGES), ui=warn(idle, report=report) if idle else show(report)
        )


class ScheduleText(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetScheduleText",
            display_name="Prompt Schedule (text)",
            category=CATEGORY,
            description="A CLIP prompt and a T5 prompt that change during the run, written as text. A prompt switches "
            "at once or fades in. Each text is encoded only once.",
            search_aliases=["prompt travel", "prompt scheduling", "prompt editing", "timeline"],
            enable_expand=True,
            inputs=[
                io.Clip.Input("clip", raw_link=True, tooltip="Any CLIP that holds CLIP-L."),
                io.Clip.Input("t5", raw_link=True, tooltip="Any CLIP that holds T5."),
                io.String.Input(
                    "clip_text", multiline=True, dynamic_prompts=True,
                    tooltip="The CLIP prompts. The first acts from the start of the run. " + MARKS,
                ),
                io.String.Input(
                    "t5_text", multiline=True, dynamic_prompts=True,
                    tooltip="The T5 prompts, written in the same way. CLIP and T5 may switch at different times.",
                ),
                _guidance(),
                *_what_is_known(),
            ],
            outputs=[io.Conditioning.Output(tooltip=FOR_A_SAMPLER)],
        )  # fmt: skip

    @classmethod
    def execute(cls, clip, t5, clip_text, t5_text, guidance=DEFAULT_GUIDANCE, sigmas=None, model=None) -> io.NodeOutput:
        from .timeline import Entry, parse, written

        graph = GraphBuilder()
        inputs = {"guidance": guidance}
        streams = {"vec": ("FluxDuetClipEncode", clip, clip_text), "txt": ("FluxDuetT5Encode", t5, t5_text)}
        for (name, (kind, encoder, text)), timeline in zip(
            streams.items(), ("clip_timeline", "t5_timeline"), strict=True
        ):
            entries = parse(text)
            texts = list(dict.fromkeys(entry.text for entry in entries))
            if len(texts) > MOST:
                raise ValueError(f"Prompt Schedule: `{name}` has {len(texts)} prompts, expected up to {MOST}.")
            for number, each in enumerate(texts, 1):
                encode = graph.node(kind, clip=encoder, text=each, **({"length": "ComfyUI"} if name == "txt" else {}))
                inputs[f"{name}s.{name}{number}"] = encode.out(0)
            numbered = [Entry(f"{texts.index(entry.text) + 1}", entry.start, entry.fade) for entry in entries]
            inputs[timeline] = written(numbered)
        inputs |= {key: value for key, value in (("sigmas", sigmas), ("model", model)) if value is not None}
        schedule = graph.node("FluxDuetSchedule", **inputs)
        return io.NodeOutput(schedule.out(0), expand=graph.finalize())


class PromptAt(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetPromptAt",
            display_name="Prompt at Step",
            category=CATEGORY,
            description="Takes the prompt of one moment, such as the last step, from a scheduled CONDITIONING. Use it "
            "to upscale or inpaint the finished picture.",
            search_aliases=["final prompt", "prompt at step", "extract prompt"],
            inputs=[
                io.Conditioning.Input(
                    "conditioning", tooltip="The CONDITIONING of Prompt Schedule, or of any other node."
                ),
                io.String.Input(
                    "when", default="0", tooltip="The moment: a step (8), a percentage of time (40%) or a sigma (s0.7)."
                ),
                *_what_is_known(OTHER_UNIT, OTHER_UNIT),
            ],
            outputs=[io.Conditioning.Output(tooltip="The prompt of that moment, for a whole run.")],
        )

    @classmethod
    def execute(cls, conditioning, when, sigmas=None, model=None) -> io.NodeOutput:
        from ..timepoints import Point
        from .scheduling import at_point

        return io.NodeOutput(at_point(conditioning, Point.parse(when), _run(model, sigmas)))


class PartOfRun(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetOnly",
            display_name="Limit Prompt to Steps",
            category=CATEGORY,
            description="Makes a prompt act only in some of the steps. Use it before a sampler's `negative`: true CFG "
            "then takes two model evaluations per step only in these steps, and one in all others.",
            search_aliases=["negative prompt", "true cfg range", "cfg start end", "timestep range", "limit cfg"],
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="The negative prompt."),
                io.String.Input(
                    "start", default="0%",
                    tooltip="When this starts to act: a step (8), a percentage of time (40%) or a sigma (s0.7).",
                ),
                io.String.Input(
                    "end", default="40%",
                    tooltip="When this stops acting, in the same units. 100% is the end of the run. The early steps "
                    "decide most of the picture.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    tooltip="For `negative` of MMDiT Sampler, or of a native sampler with Apply Duet before it."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, conditioning, start, end) -> io.NodeOutput:
        from ..timepoints import Range
        from .scheduling import limited_to

        return io.NodeOutput(limited_to(conditioning, Range.parse(start, end)))


NODES = [Schedule, ScheduleText, PromptAt, PartOfRun]
