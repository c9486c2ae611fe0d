"""The pack's own socket types. Imports ComfyUI."""

from comfy_api.latest import io

FluxVec = io.Custom("FLUX_VEC")  # carries a streams.ClipVec
FluxTxt = io.Custom("FLUX_TXT")  # carries a streams.T5Text
FluxHeatmap = io.Custom("FLUX_HEATMAP")  # carries the ReadingStore of Token Heatmap or Concept Heatmap
FluxInfluence = io.Custom("FLUX_INFLUENCE")  # carries Encoder Influence's ReadingStore
FluxWorkers = io.Custom("FLUX_WORKERS")  # carries a cluster.choices.Workers
