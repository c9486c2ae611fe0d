"""The node that sweeps a switch of prompts over a run. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ...compat.sampling import sampler_names
from ...keys import SAMPLES
from ...notice import show
from ...sample.choices import SCHEDULERS
from ..workers_input import workers_input
from .choices import BOTH, CLIP, NAME, SAMPLER, T5


def _sweep_outputs():
    """The pictures, and the answer as picture, numbers and sentence."""
    return [
        io.Image.Output("strip", display_name="strip", tooltip="A frame for every switch."),
        io.Latent.Output("latents", display_name="latents",
                         tooltip="The pictures as latents, from B for the whole run to A for the whole run."),
        io.Image.Output("curve", display_name="curve", tooltip="Distance of each picture from pure A and from pure B."),
        io.String.Output("json", display_name="json", tooltip="All numbers."),
        io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
    ]  # fmt: skip


class SwitchSweep(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSweep",
            display_name=NAME,
            category="Flux Duet/Analyse",
            description="Shows when in a run a prompt matters: draws prompt A up to step k and prompt B from then on, "
            "for every k, and finds the step at which the picture is decided.",
            is_output_node=True,
            search_aliases=["prompt switch", "when does t5 matter", "prompt scheduling test", "ablation", "timing"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Conditioning.Input("a", tooltip="The prompt that every run starts with."),
                io.Conditioning.Input("b", tooltip="The prompt that it switches to."),
                io.Combo.Input(
                    "switch", options=[T5, CLIP, BOTH], default=T5,
                    tooltip="Which prompt switches to B. Everything else stays as in A: the other prompt, guidance, "
                    "pictures, ControlNets, masks. both: everything switches to B.",
                ),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
                             tooltip="The random seed used for creating the noise."),
                io.Int.Input("steps", default=20, min=2, max=200,
                             tooltip="Number of steps of each run. 20 steps cost 230 evaluations of the model."),
                io.Combo.Input(
                    "sampler", options=sampler_names(), default=SAMPLER,
                    tooltip="Only euler works here: it evaluates the model once per step and keeps nothing between "
                    "steps, so the runs can share their common beginning.",
                ),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                io.Int.Input("every", display_name="switch every n steps", default=1, min=1, max=200, advanced=True,
                             tooltip="1 tries a switch at every step. Higher values are faster: with 2, 20 steps cost "
                             "130 evaluations."),
                io.Int.Input("batch", default=4, min=1, max=64, advanced=True,
                             tooltip="Number of pictures computed at once. Lower it if memory runs out."),
                io.Vae.Input("vae", optional=True,
                             tooltip="Decodes the pictures. Without it, the strip shows ComfyUI's rough previews."),
                workers_input(),
            ],
            outputs=_sweep_outputs(),
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, sampler=None) -> bool | str:
        from .runner import refusal

        return refusal(sampler) or True

    @classmethod
    def execute(
        cls, model, a, b, switch, latent, seed, steps, sampler, scheduler, every=1, batch=4, vae=None, workers=None
    ) -> io.NodeOutput:
        from ...family import require_flux1
        from ...pictures import as_image
        from ...sample.sampling import SamplingPlan
        from .. import repainted
        from ..plots.temporary_file import temporary
        from ..run_settings import guidance_of, of_plan
        from .distances import distances
        from .frames import frames_of
        from .runner import sweep
        from .summary import Story
        from .switched_prompt import left_behind, switched

        plan = SamplingPlan(seed, steps, sampler, scheduler)
        require_flux1(model, NAME, wrapped=True)
        after, made, notes = switched(a, b, switch), {}, []
        if workers is None:
            swept = sweep(model, a, after, latent, plan, every, batch)
        else:
            swept, made, notes = _on_workers(cls, workers, every, model, a, after, switch, latent, plan, batch)
        pixels, pictures, frames, kind = frames_of(model, vae, swept.samples)
        seen = {"latents": swept.samples} if pixels is None else {"latents": swept.samples, "pixels": pixels}
        measured = {name: distances(each, swept.mask) for name, each in seen.items()}
        story = Story(switch, swept.switches, swept.sigmas, swept.percents, swept.rows, measured,
                      left_behind(a, b, switch), repainted.share(swept.mask, 1))  # fmt: skip
        strip = as_image(story.strip(pictures, kind))
        drawn = {**story.columns(), "frames": temporary(frames, cls) if frames else [], "kind": kind}
        text = show("\n".join([story.sentence, *notes]))
        shown = {**ui.PreviewImage(strip, cls=cls).as_dict(), **text, "flux_duet_sweep": [drawn]}
        settings = {**of_plan(model, plan, latent, guidance_of([*a, *b])), **made}
        latents, curve = {SAMPLES: swept.samples}, as_image(story.curve())
        return io.NodeOutput(strip, latents, curve, story.as_json(settings), story.sentence, ui=shown)


def _on_workers(cls, workers, every: int, *given) -> tuple:
    """(what runner.sweep returns, the machines for the JSON, messages) of a sweep on workers."""
    from ...compat.execution import running_node_id
    from .on_workers import SweepOnWorkers

    run = SweepOnWorkers(workers, cls.hidden.prompt, running_node_id(), *given)
    swept, notes = run.sweep(every)
    return swept, {"machines": run.made, "runs_from_before": run.found}, notes


class SweepPart(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSweepPart",
            display_name="Sweep Part",
            category="Flux Duet/Analyse",
            description="Draws some pictures of a Switch Sweep on a worker. Switch Sweep adds it to the workflow that "
            "it sends to Ray Workers; there is no use for it on the canvas.",
            is_output_node=True,
            is_dev_only=True,
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Conditioning.Input("a", tooltip="The prompt that every run starts with."),
                io.Conditioning.Input("b", tooltip="The prompt that it switches to."),
                io.Combo.Input("switch", options=[T5, CLIP, BOTH], default=BOTH, tooltip="Which prompt switches."),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF,
                             tooltip="The random seed used for creating the noise."),
                io.Int.Input("steps", default=20, min=2, max=200, tooltip="The steps of every picture."),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                io.String.Input("only", default="0", tooltip="The steps before which to switch, such as 4, 5, 6."),
                io.Int.Input("batch", default=4, min=1, max=64,
                             tooltip="Number of pictures computed at once. Lower it if memory runs out."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, **_):
        return float("nan")  # never the same: the file of an earlier run has gone home

    @classmethod
    def execute(cls, model, a, b, switch, latent, seed, steps, scheduler, only, batch) -> io.NodeOutput:
        from ...sample.sampling import SamplingPlan
        from ..grid.one_cell import left_behind
        from .runner import sweep
        from .switched_prompt import switched

        plan = SamplingPlan(seed, steps, SAMPLER, scheduler)
        wanted = sorted({int(each) for each in only.split(",")})
        swept = sweep(model, a, switched(a, b, switch), latent, plan, batch=batch, only=wanted)
        return io.NodeOutput(ui=left_behind(model, swept.samples))


NODES = [SwitchSweep, SweepPart]
