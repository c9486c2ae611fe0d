"""The node that turns a latent into a picture. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..notice import warn

TILED = (
    "There was too little memory, so the picture was decoded in tiles. Faint seams are possible. To avoid them, use a "
    "smaller batch."
)


class VAEDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetDecode",
            display_name="VAE Decode (Duet)",
            category="Flux Duet/Decode",
            description="Decodes a latent into a picture, as the native VAE Decode does. If memory runs short, it "
            "decodes in tiles and tells you.",
            search_aliases=["decode", "latent to image", "vae", "duet"],
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE model used for decoding the latent, such as ae.safetensors."),
                io.Latent.Input("samples", tooltip="The latent to be decoded, from any sampler."),
            ],
            outputs=[io.Image.Output(tooltip="The decoded picture.")],
        )

    @classmethod
    def execute(cls, vae, samples) -> io.NodeOutput:
        from .decoding import decode

        pixels, tiled = decode(vae, samples)
        return io.NodeOutput(pixels, ui=warn(TILED) if tiled else None)


NODES = [VAEDecode]
