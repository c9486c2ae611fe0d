"""Flux Duet: one ComfyUI node for each stage of FLUX.1, one prompt for each of its text encoders."""

WEB_DIRECTORY = "./js"


async def comfy_entrypoint():
    # Imported here, so that the pack's pure modules can be imported where ComfyUI is not.
    from .nodes.extension import FluxDuetExtension

    return FluxDuetExtension()
