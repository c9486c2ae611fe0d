"""Encoder Influence and what shows its readings. Imports ComfyUI."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from comfy_api.latest import io, ui
from torch import Tensor
from torch.nn.functional import interpolate

from ...condition.blocks import PRESETS, Blocks, painted
from ...flux1_sizes import NUMBERS, PIXEL, T5_ROWS
from ...notice import show
from ...sockets import FluxInfluence, FluxTxt, FluxVec
from .choices import NAME, PARTS

if TYPE_CHECKING:
    from ..replace_prompt import Null

CATEGORY = "Flux Duet/Analyse"
EMPTY, ZEROS, BOTH = "empty prompt", "zeros", "both"


def _empty_inputs():
    """The empty prompts, for null: empty prompt."""
    return [
        FluxVec.Input(
            "empty_vec", optional=True,
            tooltip="CLIP-L Encode of an empty text. Not needed if `empty prompt as` is zeros.",
        ),
        FluxTxt.Input(
            "empty_txt", optional=True,
            tooltip="T5 Encode of an empty text. Not needed if `empty prompt as` is zeros.",
        ),
    ]  # fmt: skip


class Influence(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetInfluence",
            display_name=NAME,
            category=CATEGORY,
            description="Measures how much each prompt changes the picture: at each step, the model runs again without "
            "the CLIP prompt, without the T5 prompt, and without both. The picture itself stays exactly the same.",
            search_aliases=["clip vs t5", "does clip matter", "prompt influence", "counterfactual", "probe"],
            inputs=[
                io.Model.Input("model", tooltip="A FLUX.1 model, with or without LoRAs."),
                io.Combo.Input(
                    "null", display_name="empty prompt as", options=[EMPTY, ZEROS, BOTH], default=EMPTY,
                    tooltip='What counts as "no prompt": an encoded empty text, or zeros. both: measure each '
                    "separately, at twice the extra cost.",
                ),
                io.Int.Input(
                    "every", display_name="measure every n steps", default=1, min=1, max=1000,
                    tooltip="1 measures every step. Higher values are faster: a measured step costs up to 5 times a "
                    "plain step, or 8 times with both kinds of empty prompt.",
                ),
                *_empty_inputs(),
                io.String.Input(
                    "blocks", default="", optional=True, advanced=True, extra_dict=painted(final=True),
                    tooltip=f"Also measure what changes if only these blocks get no prompt: numbers ({NUMBERS}), "
                    "ranges (5-18, 40-), double, single, final. Costs two more evaluations per measured step. Empty: "
                    "off.",
                ),
                FluxTxt.Input(
                    "txt", optional=True,
                    tooltip="The T5 prompt of this run. Needed only if Redux or Conditioning Concat add tokens of "
                    "their own: those stay, and only the prompt's tokens are removed.",
                ),
            ],
            outputs=[
                io.Model.Output("probed", display_name="model", tooltip="The same model, for the sampler."),
                FluxInfluence.Output("probe", display_name="probe", tooltip="For Show Influence."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model, null=EMPTY, every=1, empty_vec=None, empty_txt=None, blocks="", txt=None
    ) -> io.NodeOutput:  # fmt: skip
        from ...family import require_flux1
        from ...sample.apply import attach
        from ..hooks import probed
        from ..reading_store import ReadingStore
        from ..replace_prompt import prompts_of
        from .recorder import KEY, InfluencePlan, InfluenceRecorder

        require_flux1(model, NAME, wrapped=True)
        where = Blocks.parse(PRESETS.get(blocks.strip(), blocks))
        where = None if not where.words or where.is_none else where
        empty = None if empty_txt is None else empty_txt.spans[0].tensor
        nulls = [replace(each, sampled=prompts_of(txt), empty=empty) for each in _nulls(null, empty_vec, empty_txt)]
        plan = InfluencePlan(nulls, every, where, T5_ROWS if empty is None else empty.shape[1])
        probe = ReadingStore(NAME)
        model = model if where is None else attach(model, node=NAME)
        out = probed(model, probe, KEY, lambda *run: InfluenceRecorder(plan, *run))
        return io.NodeOutput(out, probe)


def _nulls(null: str, empty_vec, empty_txt) -> list[Null]:
    from ...condition.controls import TXT, VEC
    from ..replace_prompt import Null, plain

    nulls = []
    if null in (EMPTY, BOTH):
        if empty_vec is None or empty_txt is None:
            missing = " and ".join(
                name for name, got in (("empty_vec", empty_vec), ("empty_txt", empty_txt)) if got is None
            )
            raise ValueError(
                f"{NAME}: `empty prompt as` is '{null}' and {missing} is not connected. Connect CLIP-L Encode "
                f"and T5 Encode of an empty text, or set `empty prompt as` to '{ZEROS}'."
            )
        nulls.append(Null(EMPTY, {VEC: plain(empty_vec, "empty_vec"), TXT: plain(empty_txt, "empty_txt")}))
    return nulls if null == EMPTY else [*nulls, Null(ZEROS, {VEC: None, TXT: None})]


class ShowInfluence(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetInfluenceShow",
            display_name="Show Influence",
            category=CATEGORY,
            description="Shows what Encoder Influence measured in this run: plots, maps, numbers and a sentence.",
            search_aliases=["clip vs t5", "influence plot", "where does clip matter"],
            is_output_node=True,
            inputs=[
                FluxInfluence.Input("probe", tooltip="From Encoder Influence."),
                io.Latent.Input("latent", tooltip="The LATENT output of the sampler. It identifies the run."),
                io.Combo.Input(
                    "part", display_name="steps shown", options=list(PARTS), default=PARTS[0],
                    tooltip="Steps that the maps show. Everything else covers the whole run.",
                ),
                io.Image.Input("picture", optional=True, tooltip="The decoded picture, shown beside the maps."),
            ],
            outputs=[
                io.Image.Output("plot", display_name="plot",
                                tooltip="Effects and shares at each step, and where the modulation comes from."),
                io.Image.Output("map", display_name="map", tooltip="Where each prompt matters, one for each picture."),
                io.Mask.Output("clip_mask", display_name="CLIP mask", tooltip="Where CLIP matters; 1 is the "
                "strongest effect of either prompt anywhere."),
                io.Mask.Output("t5_mask", display_name="T5 mask", tooltip="Where T5 matters, on the same scale."),
                io.String.Output("sentence", display_name="sentence", tooltip="The result in plain words."),
                io.String.Output("csv", display_name="csv", tooltip="A line for each step."),
                io.String.Output("json", display_name="json", tooltip="Every number, by step, third and picture."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, probe, latent, part=PARTS[0], picture=None) -> io.NodeOutput:
        from ...pictures import as_image
        from . import draw
        from .reading import as_json, columns, csv
        from .summary import sentence

        reading, settings = probe.run(latent)
        if not reading.part(part):
            raise ValueError(
                f"Show Influence: no step of the {part} was measured (every {reading.every}th of "
                f"{reading.steps}). Set `steps shown` to whole run, or lower `measure every n steps` in {NAME}."
            )
        text = sentence(reading)
        found, most = draw.masks(reading, part)
        plot = as_image(draw.plot(reading))
        pages = draw.map_pages(found, most, _fitting(picture, found.shape[1]), reading.nulls[0])
        clip_mask, t5_mask = interpolate(found, scale_factor=PIXEL, mode="bilinear", align_corners=False)
        data = json.dumps(as_json(reading, text, settings))
        drawn = {"flux_duet_influence": [columns(reading, text)]}  # for js/influence.js
        shown = {**ui.PreviewImage(plot, cls=cls).as_dict(), **show(text), **drawn}
        return io.NodeOutput(plot, as_image(pages), clip_mask, t5_mask, text, csv(reading), data, ui=shown)


def _fitting(picture: Tensor | None, count: int) -> Tensor | None:
    if picture is not None and len(picture) != count:
        raise ValueError(
            f"Show Influence: got {len(picture)} pictures for a LATENT of {count}. Connect VAE Decode of that LATENT."
        )
    return picture


NODES = [Influence, ShowInfluence]
