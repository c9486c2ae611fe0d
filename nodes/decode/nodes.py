"""The node that turns a latent into a picture. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ..notice import warn

TILED = "Memory ran short, so the picture was decoded in tiles. Faint seams are possible; a smaller batch avoids them."


class VAEDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FluxDuetDecode",
            display_name="VAE Decode (Duet)",
            category="Flux Duet/Decode",
            description="Turns a latent into a picture. When memory is short it decodes in tiles, and reports that.",
            search_aliases=["decode", "latent to image", "vae", "duet"],
            inputs=[
                io.Vae.Input("vae", tooltip="The autoencoder, such as ae.safetensors."),
                io.Latent.Input("samples", tooltip="From MMDiT Sampler."),
            ],
            outputs=[io.Image.Output(tooltip="The picture.")],
        )

    @classmethod
    def execute(cls, vae, samples) -> io.NodeOutput:
        from .decoding import decode

        pixels, tiled = decode(vae, samples)
        return io.NodeOutput(pixels, ui=warn(TILED) if tiled else None)


NODES = [VAEDecode]
