"""The outcome of every control and probe with every native neighbour, verified by the tests in this folder.

`python tests/comfy/matrix/outcomes.py` prints the table in markdown. Nothing but Python is needed.
"""

from __future__ import annotations

EQUAL, ACTS, UNREAD, REFUSES, APART = "=", "~", "?", "!", "-"
MEANINGS = {
    EQUAL: "equal",  # to a native graph: chained native samplers, another native prompt, or the run without the probe
    ACTS: "acts",  # to the same native graph with an explicit weight for every pair of tokens
    UNREAD: "unread",  # the picture is the same; the node that shows the reading reports why there is none
    REFUSES: "refuses",  # with one sentence, before the first evaluation
    APART: "",  # the two never act together
}

CONTROLS = """
                            weights
                            |  join
                            |  |  both
                            |  |  |  region
                            |  |  |  |  everywhere
                            |  |  |  |  |  region, end
                            |  |  |  |  |  |  nag
                            |  |  |  |  |  |  |  nag, end
                            |  |  |  |  |  |  |  |  route clip
                            |  |  |  |  |  |  |  |  |  route t5
                            |  |  |  |  |  |  |  |  |  |  clip negative
                            |  |  |  |  |  |  |  |  |  |  |  several
                            |  |  |  |  |  |  |  |  |  |  |  |  steps
                            |  |  |  |  |  |  |  |  |  |  |  |  |  percent
                            |  |  |  |  |  |  |  |  |  |  |  |  |  |  fade
                            |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  part
alone                       =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Combine                     =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Combine, both controlled    =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Concat (to)                 =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Concat (from)               =  =  =  =  =  =  =  =  =  =  =  =  =  =  =  =
Average (to)                ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  !  =  !  ~
Average (from)              =  =  =  =  =  =  =  =  =  =  =  =  =  =  =  =
ZeroOut (negative)          =  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Multiply                    =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetArea                     =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetAreaPercentage           =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetArea, negative           =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetMask                     =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetMask (bounds)            =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetDefaultCombine           =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SetTimestepRange            =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Redux, multiply             =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
Redux, attn_bias            =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
ReferenceLatent             =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
ReferenceLatent twice       =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
FluxGuidance                =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
FluxDisableGuidance         =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
ControlNet (XLabs)          ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
ControlNet (InstantX)       ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
two ControlNets, for a part ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
InpaintModelConditioning    =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~
hook LoRA                   =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
hook LoRA, keyframes        =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
model LoRA                  =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
negative, cfg               =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
BasicGuider                 =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
CFGGuider                   =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
DualCFGGuider               =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
DualCFGGuider, nested       =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
PerpNegGuider               =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
EasyCache                   =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  =  ~  ~
LazyCache                   =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  =  ~  ~
FluxKVCache                 =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~
ModelSamplingFlux           =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
SkipLayerGuidanceDiT        =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
odd size                    =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
batch of 2                  =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
noise mask                  =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~
DifferentialDiffusion       =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~  ~
MMDiT Sampler twice         =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  =  =  =  ~
KSamplerAdvanced twice      =  ~  =  ~  =  ~  ~  ~  ~  ~  ~  ~  ~  =  ~  ~
"""


PROBES = """
                            mass
                            |  flow
                            |  |  output
                            |  |  |  influence
                            |  |  |  |  sweep
alone                       =  =  =  =  =
Combine                     =  =  =  =  =
Combine, both controlled    =  =  =  =  =
Concat (to)                 =  =  =  =  =
Concat (from)               =  =  =  =  =
Average (to)                ?  ?  ?  ?  =
Average (from)              ?  ?  ?  ?  =
ZeroOut (negative)          =  =  =  =  -
Multiply                    ?  ?  ?  ?  =
SetArea                     =  =  =  =  =
SetAreaPercentage           =  =  =  =  =
SetArea, negative           =  =  =  =  -
SetMask                     =  =  =  =  =
SetMask (bounds)            =  =  =  =  =
SetDefaultCombine           =  =  =  =  =
SetTimestepRange            =  =  =  =  =
Redux, multiply             =  =  =  =  =
Redux, attn_bias            =  =  =  =  =
ReferenceLatent             =  =  =  =  =
ReferenceLatent twice       =  =  =  =  =
FluxGuidance                =  =  =  =  =
FluxDisableGuidance         =  =  =  =  =
ControlNet (XLabs)          =  =  =  =  =
ControlNet (InstantX)       =  =  =  =  =
two ControlNets, for a part =  =  =  =  =
InpaintModelConditioning    =  =  =  =  ~
hook LoRA                   =  =  =  =  =
hook LoRA, keyframes        =  =  =  =  ~
model LoRA                  =  =  =  =  =
negative, cfg               =  =  =  =  -
BasicGuider                 =  =  =  =  -
CFGGuider                   =  =  =  =  -
DualCFGGuider               =  =  =  =  -
DualCFGGuider, nested       =  =  =  =  -
PerpNegGuider               =  =  =  =  -
EasyCache                   =  =  =  =  -
LazyCache                   =  =  =  =  -
FluxKVCache                 =  =  =  =  !
ModelSamplingFlux           =  =  =  =  =
SkipLayerGuidanceDiT        =  =  =  =  -
odd size                    =  =  =  =  =
batch of 2                  =  =  =  =  !
noise mask                  =  =  =  =  ~
DifferentialDiffusion       =  =  =  =  ~
MMDiT Sampler twice         =  =  =  =  -
KSamplerAdvanced twice      =  =  =  =  -
"""


GRIDS = """
                            grid
                            |  words
alone                       =  =
Combine                     -  -
Combine, both controlled    -  -
Concat (to)                 -  -
Concat (from)               -  -
Average (to)                -  -
Average (from)              -  -
ZeroOut (negative)          -  -
Multiply                    -  -
SetArea                     -  -
SetAreaPercentage           -  -
SetArea, negative           -  -
SetMask                     -  -
SetMask (bounds)            -  -
SetDefaultCombine           -  -
SetTimestepRange            -  -
Redux, multiply             -  -
Redux, attn_bias            -  -
ReferenceLatent             =  =
ReferenceLatent twice       =  =
FluxGuidance                -  -
FluxDisableGuidance         -  -
ControlNet (XLabs)          =  =
ControlNet (InstantX)       =  =
two ControlNets, for a part =  =
InpaintModelConditioning    =  =
hook LoRA                   =  =
hook LoRA, keyframes        =  =
model LoRA                  =  =
negative, cfg               -  -
BasicGuider                 -  -
CFGGuider                   -  -
DualCFGGuider               -  -
DualCFGGuider, nested       -  -
PerpNegGuider               -  -
EasyCache                   =  =
LazyCache                   =  =
FluxKVCache                 =  =
ModelSamplingFlux           =  =
SkipLayerGuidanceDiT        -  -
odd size                    =  =
batch of 2                  !  =
noise mask                  =  =
DifferentialDiffusion       =  =
MMDiT Sampler twice         -  -
KSamplerAdvanced twice      -  -
"""


def table(text: str) -> dict[str, dict[str, str]]:
    """Parses a table: {row: {column: outcome}}."""
    lines = text.strip("\n").split("\n")
    columns = [line.replace("|", " ").strip() for line in lines if not _cells(line, [])]
    out = {}
    for line in lines:
        if found := _cells(line, columns):
            name, cells = found
            assert len(cells) == len(columns), f"{name}: {len(cells)} cells for {len(columns)} columns"
            out[name] = dict(zip(columns, cells, strict=True))
    return out


def _cells(line: str, columns: list[str]) -> tuple[str, list[str]] | None:
    words = line.split()
    cells = [word for word in words if word in MEANINGS]
    return (" ".join(words[: -len(cells)]), cells) if cells else None


def markdown(*tables: dict[str, dict[str, str]]) -> str:
    """All tables side by side: a row for each neighbour."""
    rows = list(dict.fromkeys(row for each in tables for row in each))
    columns = [(each, column) for each in tables for column in next(iter(each.values()))]
    lines = ["| | " + " | ".join(column for _, column in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = [MEANINGS[each.get(row, {}).get(column, APART)] for each, column in columns]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(table(CONTROLS), table(PROBES), table(GRIDS)))
