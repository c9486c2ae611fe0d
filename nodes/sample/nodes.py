"""The nodes that turn noise into a latent picture. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..compat.sampling import sampler_names
from ..keys import SAMPLES
from .choices import SCHEDULERS
from .schedule import FIXED_MU, denoised, flux_sigmas, image_tokens, official_mu

CATEGORY = "Flux Duet/Sample"


def _steps():
    return io.Int.Input("steps", default=20, min=1, max=10000, tooltip="The number of steps from noise to picture.")


def _denoise():
    return io.Float.Input(
        "denoise",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        round=0.0001,
        tooltip="How much of the starting picture is replaced: 1 all of it, 0 nothing.",
    )


def _seed():
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="The seed of the noise that the picture grows from.",
    )


def _true_cfg():
    """A negative prompt and its strength, as in KSampler."""
    return [
        io.Conditioning.Input(
            "negative",
            optional=True,
            tooltip="A negative prompt for true CFG, which evaluates the model twice a step. FLUX.1-dev seldom needs "
            "it.",
        ),
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            optional=True,
            tooltip="Strength of true CFG, with a negative; 1 is off. Not the guidance of FLUX.1-dev: "
            "that is set in Dual Prompt.",
        ),
    ]


def _chaining():
    """What lets two samplers share a run, as in KSampler (Advanced)."""
    rare = {"optional": True, "advanced": True}
    return [
        io.Int.Input("start_step", default=0, min=0, max=10000, tooltip="Begin at this step.", **rare),
        io.Int.Input("end_step", default=10000, min=0, max=10000, tooltip="Stop before it.", **rare),
        io.Boolean.Input(
            "add_noise",
            default=True,
            tooltip="Off for the second of two chained samplers, whose latent still has its noise.",
            **rare,
        ),
        io.Boolean.Input(
            "leftover_noise",
            default=False,
            tooltip="On for the first of two chained samplers: hand the latent on with its remaining noise.",
            **rare,
        ),
    ]


def _table():
    return io.Boolean.Input(
        "modulation_table",
        default=False,
        tooltip="On: what the modulation layers give at all steps is computed in the first one, and 27 % of the "
        "model's weights are not needed again. The same picture; for models that do not fit on the GPU. See Modulation "
        "Table.",
        optional=True,
        advanced=True,
    )


class MMDiTSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSampler",
            display_name="MMDiT Sampler",
            category=CATEGORY,
            description="KSampler for FLUX.1: the same loop, with the official noise schedule beside ComfyUI's.",
            search_aliases=["ksampler", "sampler", "flux sampler", "duet"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Conditioning.Input("positive", tooltip="From Dual Prompt, or any native node."),
                io.Latent.Input(
                    "latent", tooltip="An empty latent, or a picture to start from; its mask is respected."
                ),
                _seed(),
                _steps(),
                io.Combo.Input(
                    "sampler",
                    options=sampler_names(),
                    default="euler",
                    tooltip="How a step is taken. FLUX.1's own code uses euler.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=SCHEDULERS,
                    default="simple",
                    tooltip="How the noise falls from step to step. 'official' is Black Forest Labs' own: "
                    "shifted by the picture's size for dev, unshifted for schnell.",
                ),
                _denoise(),
                *_true_cfg(),
                *_chaining(),
                _table(),
            ],
            outputs=[io.Latent.Output(tooltip="For VAE Decode.")],
        )

    @classmethod
    def execute(cls, model, positive, latent, negative=None, modulation_table=False, **plan) -> io.NodeOutput:
        from .apply import attach
        from .sampling import NAME, SamplingPlan, sample

        if modulation_table:
            model = attach(model, plan.get("start_step", 0), NAME, with_table=True)
        return io.NodeOutput(sample(model, positive, negative, latent, SamplingPlan(**plan)))


class ApplyDuet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetApply",
            display_name="Apply Duet",
            category=CATEGORY,
            description="Makes a FLUX.1 model carry out the controls in its prompts that ComfyUI does not know "
            "(weights in the attention, timelines, regions, block routing, negatives), under any native sampler. "
            "MMDiT Sampler does this by itself.",
            search_aliases=["attention weights", "patch model", "duet", "regional prompt", "prompt schedule"],
            inputs=[io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs.")],
            outputs=[io.Model.Output(tooltip="The same model, for KSampler, SamplerCustomAdvanced and the like.")],
        )

    @classmethod
    def execute(cls, model) -> io.NodeOutput:
        from .apply import attach

        return io.NodeOutput(attach(model))


class ModulationTable(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetTable",
            display_name="Modulation Table",
            category=CATEGORY,
            description="Computes in a run's first step what the modulation layers, 27 % of FLUX.1's weights, give at "
            "all of its steps. Later steps do not need these weights, and the picture is the same. For models that do "
            "not fit on the GPU: 6 GiB (fp8: 3) less to move at every step. The sampler shows what was saved, or "
            "why nothing was.",
            search_aliases=["low vram", "modulation", "offload", "memory", "adaln", "cache"],
            inputs=[io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs.")],
            outputs=[io.Model.Output(tooltip="The same model, for any sampler.")],
        )

    @classmethod
    def execute(cls, model) -> io.NodeOutput:
        from .apply import attach

        return io.NodeOutput(attach(model, node="Modulation Table", with_table=True))


SHIFTS = {
    "dev": lambda tokens, mu: official_mu(tokens),
    "schnell": lambda tokens, mu: None,
    "fixed": lambda tokens, mu: mu,
}


class FluxSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetSigmas",
            display_name="Flux Sigmas",
            category=CATEGORY,
            description="The official noise schedule of FLUX.1 for SamplerCustomAdvanced.",
            search_aliases=["scheduler", "sigmas", "flux schedule", "mu", "shift"],
            inputs=[
                _steps(),
                io.Latent.Input("latent", tooltip="The latent to be sampled: its size sets the shift."),
                io.Combo.Input(
                    "shift",
                    options=list(SHIFTS),
                    default="dev",
                    tooltip="dev: shifted by the picture's size, as FLUX.1-dev was trained. schnell: unshifted. "
                    "fixed: by `mu`, whatever the size.",
                ),
                io.Float.Input(
                    "mu",
                    default=FIXED_MU,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    round=0.0001,
                    optional=True,
                    tooltip=f"For 'fixed': 0 is unshifted, {FIXED_MU} is ComfyUI's for FLUX.1-dev.",
                ),
                _denoise(),
            ],
            outputs=[io.Sigmas.Output(tooltip="steps + 1 noise levels from 1 down to 0.")],
        )

    @classmethod
    def execute(cls, steps, latent, shift, denoise, mu=FIXED_MU) -> io.NodeOutput:
        tokens = image_tokens(*latent[SAMPLES].shape[-2:])
        strength = SHIFTS[shift](tokens, mu)
        return io.NodeOutput(denoised(lambda n: flux_sigmas(n, strength), steps, denoise))


NODES = [MMDiTSampler, ApplyDuet, ModulationTable, FluxSigmas]
