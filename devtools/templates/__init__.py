"""The templates: described in a few lines each, laid out and written by a script.

basics, controls, instruments, loras    the descriptions
parts                                   what a description is made of
making, sampling, folding, layout       the graph, its subgraphs, their places
results, thumbnails                     the pictures of ComfyUI's template page
"""

from .. import ROOT
from . import basics, controls, instruments, loras
from .parts import Template

WORKFLOWS = ROOT / "workflows"
API = WORKFLOWS / "api"

TEMPLATES: list[Template] = sorted(
    [*basics.TEMPLATES, *controls.TEMPLATES, *instruments.TEMPLATES, *loras.TEMPLATES], key=lambda each: each.name
)
NAMES = {template.slug: template.name for template in TEMPLATES}
