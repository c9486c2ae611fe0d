"""The nodes that turn noise into a latent picture. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..compat.sampling import sampler_names
from ..keys import SAMPLES
from .choices import SCHEDULERS
from .schedule import FIXED_MU, denoised, flux_sigmas, image_tokens, official_mu

CATEGORY = "Flux Duet/Sample"


def _steps():
    return io.Int.Input(
        "steps", default=20, min=1, max=10000, tooltip="The number of steps used in the denoising process."
    )


def _denoise():
    return io.Float.Input(
        "denoise",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        round=0.0001,
        tooltip="The amount of denoising applied. 1 replaces the starting picture completely; lower values keep its "
        "structure (image to image); 0 changes nothing.",
    )


def _seed():
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="The random seed used for creating the noise.",
    )


def _true_cfg():
    """A negative prompt and its strength, as in KSampler."""
    return [
        io.Conditioning.Input(
            "negative",
            optional=True,
            tooltip="A negative prompt for true CFG, which evaluates the model twice per step. FLUX.1-dev seldom needs "
            "one.",
        ),
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            optional=True,
            tooltip="Strength of true CFG; needs a negative prompt. 1 = off. This is not the guidance of FLUX.1-dev, "
            "which is set in Dual Prompt.",
        ),
    ]


def _chaining():
    """What lets two samplers share a run, as in KSampler (Advanced)."""
    rare = {"optional": True, "advanced": True}
    return [
        io.Int.Input(
            "start_step",
            default=0,
            min=0,
            max=10000,
            tooltip="The step at which this sampler starts; 0 is the first. Change it only for chained samplers.",
            **rare,
        ),
        io.Int.Input(
            "end_step",
            default=10000,
            min=0,
            max=10000,
            tooltip="This sampler stops before this step. 10000, the default, means after the last step.",
            **rare,
        ),
        io.Boolean.Input(
            "add_noise",
            default=True,
            tooltip="Adds noise to the latent first. Turn it off in the second of two chained samplers: its latent "
            "still has noise.",
            **rare,
        ),
        io.Boolean.Input(
            "leftover_noise",
            default=False,
            tooltip="Leaves the remaining noise in the latent. Turn it on in the first of two chained samplers.",
            **rare,
        ),
    ]


def _table():
    return io.Boolean.Input(
        "modulation_table",
        default=False,
        tooltip="Turn it on if the model does not fit on the GPU: 27 % of its weights are then needed only in the "
        "first step. The picture stays the same. See Modulation Table.",
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
            description="KSampler for FLUX.1: gives the same pictures at the same settings, offers FLUX.1's official "
            "noise schedule, and applies regions, timelines and the other controls of this pack.",
            search_aliases=["ksampler", "sampler", "flux sampler", "duet"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Conditioning.Input("positive", tooltip="The prompt, from Dual Prompt or any native node."),
                io.Latent.Input(
                    "latent",
                    tooltip="The latent image to denoise: an empty latent, or a picture to start from. An "
                    "inpainting mask in it is respected.",
                ),
                _seed(),
                _steps(),
                io.Combo.Input(
                    "sampler",
                    options=sampler_names(),
                    default="euler",
                    tooltip="The algorithm used when sampling. FLUX.1's own code uses euler.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=SCHEDULERS,
                    default="simple",
                    tooltip="The noise schedule: how the noise decreases from step to step. 'official' is Black Forest "
                    "Labs' own: shifted by the picture's size for dev, not shifted for schnell.",
                ),
                _denoise(),
                *_true_cfg(),
                *_chaining(),
                _table(),
            ],
            outputs=[io.Latent.Output(tooltip="The denoised latent, for VAE Decode.")],
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
            description="Lets native samplers apply this pack's controls: attention weights, timelines, regions, block "
            "routing and negative prompts. Put it between the model and the sampler. MMDiT Sampler does not need it.",
            search_aliases=["attention weights", "patch model", "duet", "regional prompt", "prompt schedule"],
            inputs=[io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs.")],
            outputs=[
                io.Model.Output(tooltip="The same model, for KSampler, SamplerCustomAdvanced and other samplers.")
            ],
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
            description="For models that do not fit on the GPU: 6 GiB (fp8: 3 GiB) less to move at every step. The "
            "first step computes the modulation layers, 27 % of FLUX.1's weights, for all steps. The picture is the "
            "same. The sampler shows what was saved, or why nothing was.",
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
            description="The official noise schedule of FLUX.1, for SamplerCustomAdvanced and other nodes that take "
            "SIGMAS.",
            search_aliases=["scheduler", "sigmas", "flux schedule", "mu", "shift"],
            inputs=[
                _steps(),
                io.Latent.Input("latent", tooltip="The latent that will be sampled. Its size sets the shift."),
                io.Combo.Input(
                    "shift",
                    options=list(SHIFTS),
                    default="dev",
                    tooltip="Shift of the schedule. dev: by the picture's size, as FLUX.1-dev was trained. schnell: "
                    "not shifted. fixed: by `mu` at every size.",
                ),
                io.Float.Input(
                    "mu",
                    default=FIXED_MU,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    round=0.0001,
                    optional=True,
                    tooltip=f"Shift for 'fixed'. 0 = no shift; {FIXED_MU} is ComfyUI's value for FLUX.1-dev.",
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
