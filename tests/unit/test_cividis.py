"""The front end's colours of maps are those of the sheets."""

import json
import re
from pathlib import Path

from flux_duet.nodes.probe.heat.overlay import CIVIDIS

MODULE = Path(__file__).parents[2] / "js" / "lib" / "cividis.mjs"


def test_they_are_the_same_in_both_languages():
    listed = re.search(r"const CIVIDIS = (\[.*?\n\]);", MODULE.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert json.loads(re.sub(r",\s*\]$", "]", listed)) == CIVIDIS.tolist()
