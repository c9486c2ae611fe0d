"""Show Shape. Imports ComfyUI."""

from __future__ import annotations

from comfy_api.latest import io

from ...notice import show


class ShowShape(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        template = io.MatchType.Template("value")
        return io.Schema(
            node_id="FluxDuetShape",
            display_name="Show Shape",
            category="Flux Duet/Analyse",
            description="Shows the shape of any value: vec, txt, CONDITIONING, LATENT or SIGMAS, the picture's number "
            "of tokens, the model's number of blocks. The value is passed on unchanged.",
            search_aliases=["tensor shape", "debug", "inspect", "dimensions", "how many tokens"],
            is_output_node=True,
            inputs=[io.MatchType.Input("value", template=template, tooltip="Any output of any node.")],
            outputs=[
                io.MatchType.Output(template, id="same", display_name="value", tooltip="The input, unchanged."),
                io.String.Output("shape", display_name="shape", tooltip="The text that the node shows."),
            ],
        )

    @classmethod
    def execute(cls, value) -> io.NodeOutput:
        from .describing import described

        text = described(value)
        return io.NodeOutput(value, text, ui=show(text))


NODES = [ShowShape]
