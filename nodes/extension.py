"""All nodes and routes of the pack, nodes in the order of a usual workflow. Imports ComfyUI."""

from pathlib import Path

import folder_paths
from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from .captions.nodes import NODES as CAPTIONS
from .cluster.nodes import NODES as CLUSTER
from .condition.blend.nodes import NODES as BLEND
from .condition.nodes import NODES as CONDITION
from .condition.place.nodes import NODES as PLACE
from .condition.time.nodes import NODES as TIME
from .decode.nodes import NODES as DECODE
from .encode.embeddings.nodes import NODES as KEEP
from .encode.load.nodes import NODES as LOAD
from .encode.nodes import NODES as ENCODE
from .lora.nodes import NODES as LORA
from .probe.grid.nodes import NODES as GRID
from .probe.heat.nodes import NODES as HEAT
from .probe.influence.nodes import NODES as INFLUENCE
from .probe.lora.nodes import NODES as ANATOMY
from .probe.parts.nodes import NODES as PARTS
from .probe.picture.nodes import NODES as PICTURE
from .probe.shape.nodes import NODES as SHAPE
from .probe.study.nodes import NODES as STUDY
from .probe.sweep.nodes import NODES as SWEEP
from .probe.trigger.nodes import NODES as TRIGGER
from .probe.words.nodes import NODES as WORDS
from .routes.addresses import register
from .sample.nodes import NODES as SAMPLE

MODELS = Path(__file__).parents[1] / "workflows" / "models"


class FluxDuetExtension(ComfyExtension):
    async def on_load(self) -> None:
        # Adds the nano models to the native model lists.
        for folder in sorted(path for path in MODELS.iterdir() if path.is_dir()):
            folder_paths.add_model_folder_path(folder.name, str(folder))
        if hasattr(PromptServer, "instance"):  # tools list the nodes without a server
            register(PromptServer.instance.routes)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        pictures = [*LOAD, *LORA, *ENCODE, *KEEP, *CONDITION, *BLEND, *TIME, *PLACE, *SAMPLE, *DECODE]
        loras = [*ANATOMY, *PARTS, *TRIGGER]
        probes = [*HEAT, *PICTURE, *INFLUENCE, *WORDS, *SWEEP, *GRID, *STUDY, *CLUSTER]
        return [*pictures, *probes, *loras, *SHAPE, *CAPTIONS]
