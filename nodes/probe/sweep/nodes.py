"""The node that sweeps a switch of prompts over a run. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ...compat.sampling import sampler_names
from ...keys import SAMPLES
from ...notice import show
from ...sample.choices import SCHEDULERS
from .choices import BOTH, CLIP, NAME, SAMPLER, T5


def _sweep_outputs():
    """The pictures, and the answer as picture, numbers and sentence."""
    return [
        io.Image.Output("strip", display_name="strip", tooltip="A frame for every switch."),
        io.Latent.Output("latents", display_name="latents",
                         tooltip="The pictures, from pure B (switched before step 0) to pure A (never)."),
        io.Image.Output("curve", display_name="curve", tooltip="Distances to pure A and to pure B."),
        io.String.Output("json", display_name="json", tooltip="All numbers."),
        io.String.Output("sentence", display_name="sentence", tooltip="The answer in words."),
    ]  # fmt: skip


class SwitchSweep(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSweep",
            display_name=NAME,
            category="Flux Duet/probe",
            description="When in a run does a prompt matter? Draws prompt A until step k and prompt B from it on, "
            "for every k, and finds the step at which the picture is decided.",
            is_output_node=True,
            search_aliases=["prompt switch", "when does t5 matter", "prompt scheduling test", "ablation", "timing"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Conditioning.Input("a", tooltip="The prompt that every run starts with."),
                io.Conditioning.Input("b", tooltip="The prompt that it switches to."),
                io.Combo.Input(
                    "switch", options=[T5, CLIP, BOTH], default=T5,
                    tooltip="Which prompt switches. All else stays A's: the other prompt, guidance, pictures, "
                    "ControlNets, masks; for both, all of B takes over.",
                ),
                io.Latent.Input("latent", tooltip="An empty latent of one picture, or one to start from."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
                             tooltip="The seed of the noise that all of the pictures grow from."),
                io.Int.Input("steps", default=20, min=2, max=200, tooltip="The steps of a run: 20 steps take 20 + "
                "210 evaluations."),
                io.Combo.Input(
                    "sampler", options=sampler_names(), default=SAMPLER,
                    tooltip="Only euler: it takes a step in one evaluation, adds no noise and keeps nothing between "
                    "steps, so that runs with a common beginning share it.",
                ),
                io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="As in MMDiT Sampler."),
                io.Int.Input("every", default=1, min=1, max=200, advanced=True,
                             tooltip="Switch before every n-th step only: with 2, 20 steps take 130 evaluations."),
                io.Int.Input("batch", default=4, min=1, max=64, advanced=True,
                             tooltip="How many pictures go through the model at once."),
                io.Vae.Input("vae", optional=True, tooltip="For real pictures; without one, ComfyUI's previews."),
            ],
            outputs=_sweep_outputs(),
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, sampler=None) -> bool | str:
        from .runner import refusal

        return refusal(sampler) or True

    @classmethod
    def execute(
        cls, model, a, b, switch, latent, seed, steps, sampler, scheduler, every=1, batch=4, vae=None
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
        swept = sweep(model, a, switched(a, b, switch), latent, plan, every, batch)
        pixels, pictures, frames, kind = frames_of(model, vae, swept.samples)
        seen = {"latents": swept.samples} if pixels is None else {"latents": swept.samples, "pixels": pixels}
        measured = {name: distances(each, swept.mask) for name, each in seen.items()}
        story = Story(switch, swept.switches, swept.sigmas, swept.percents, swept.rows, measured,
                      left_behind(a, b, switch), repainted.share(swept.mask, 1))  # fmt: skip
        strip = as_image(story.strip(pictures, kind))
        drawn = {**story.columns(), "frames": temporary(frames, cls) if frames else [], "kind": kind}
        shown = {**ui.PreviewImage(strip, cls=cls).as_dict(), **show(story.sentence), "flux_duet_sweep": [drawn]}
        settings = of_plan(model, plan, latent, guidance_of([*a, *b]))
        latents, curve = {SAMPLES: swept.samples}, as_image(story.curve())
        return io.NodeOutput(strip, latents, curve, story.as_json(settings), story.sentence, ui=shown)


NODES = [SwitchSweep]
