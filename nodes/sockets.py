"""The two socket types of the pack's own. Imports ComfyUI."""

from comfy_api.latest import io

FluxVec = io.Custom("FLUX_VEC")  # carries a streams.ClipVec
FluxTxt = io.Custom("FLUX_TXT")  # carries a streams.T5Text
