"""`dev.py check` at small sizes, as users run it, and what is in its report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flux_duet.check.run import all_sections
from flux_duet.devtools import ROOT

pytestmark = pytest.mark.slow

SERVERS = "cold"  # starts three of them, half a minute
ON_A_GPU = "limited."


def check(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess, dict, str]:
    """The process, and the report as JSON and as Markdown."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "devtools" / "inside.py"), "check.run", "--scale", "small", "--rounds", "1",
         "--disk", str(folder / "disk"), "--out", str(folder / "out"), *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert (folder / "out" / "report.json").exists(), done.stdout
    found = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return done, found, (folder / "out" / "report.md").read_text("utf-8")


def rows(section: dict, kind: str) -> list[dict]:
    return [row for row in section["rows"] if row["kind"] == kind]


def test_every_section_is_equal_and_measured(tmp_path):
    names = [each.name for each in all_sections() if each.name != SERVERS]
    done, found, page = check(tmp_path, "--only", *names)
    sections = {each["name"]: each for each in found["sections"]}
    assert list(sections) == names
    assert done.returncode == 0 and found["passed"], page
    for name, section in sections.items():
        left_out = name.startswith(ON_A_GPU) or section["why"].endswith("has no Modulation Table")
        expected = "not run" if left_out else "done"
        assert section["status"] == expected, (name, section["why"])
        assert all(row["equal"] for row in rows(section, "equal")), name
    assert {row["what"].split(":")[0] for row in rows(sections["encode"], "equal")} == {
        f"encode, {what}" for what in ("two prompts", "empty prompts", "a weight in T5", "more than 75 tokens")
    }
    assert sections["limited.neutral"]["why"] == "memory is limited on a CUDA device alone"
    for name in ("neutral", "edit", "heatmap.mass", "influence", "control.region", "control.nag"):
        (cost,) = rows(sections[name], "cost")
        assert cost["seconds"]["ratio"] > 0 and cost["bytes"] == "not measured on a CPU"
    (edit,) = rows(sections["edit"], "cost")
    assert edit["seconds"]["ratio"] < 1
    assert found["about"]["model files"] == "random, 2 + 4 blocks of width 256"
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"show_heatmap.png", "show_influence.png"}
    assert "**Passed**" in page and str(tmp_path) not in page
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_failure_is_in_the_report_and_the_others_run(tmp_path):
    done, found, page = check(tmp_path, "--only", "decode", "sampler.euler", "--vae", "not_there.safetensors")
    sampler, decode = found["sections"]
    assert done.returncode == 1 and not found["passed"]
    assert sampler["status"] == "done" and rows(sampler, "equal")[0]["equal"]
    assert decode["status"] == "failed" and "not_there.safetensors" in decode["why"].splitlines()[-1]
    assert "### Failed: VAEDecode and VAE Decode (`decode`)\n\n```\nTraceback" in page
