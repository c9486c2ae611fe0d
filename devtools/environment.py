"""Where dev.py's commands run: a ComfyUI folder and the Python that belongs to it.

`ensure` gives an environment of our own, built once into a per-user cache and then reused. `existing` takes an
install that the user already has, and never writes to it.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import SetupError, build, say
from .lock import Lock

READY = "ready.json"
GB = 1 << 30


@dataclass(frozen=True)
class Environment:
    python: Path
    comfyui: Path
    version: str
    cache: Path

    def as_json(self) -> str:
        return json.dumps({name: str(value) for name, value in vars(self).items()}, indent=2)


def cache_folder() -> Path:
    """FLUX_DUET_CACHE, or the system's folder for user caches."""
    if override := os.environ.get("FLUX_DUET_CACHE"):
        return Path(override).expanduser().resolve()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "flux-duet"


def key(version: str) -> str:
    """An environment's folder name, which depends on recipe, Python and platform."""
    recipe = json.dumps(build.recipe(version), sort_keys=True)
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:10]
    python = f"{sys.implementation.name}{sys.version_info.major}.{sys.version_info.minor}"
    return f"comfyui{version}-{python}-{sysconfig.get_platform()}-{digest}"


def ensure(version: str, builder: Callable = build.build) -> Environment:
    """The environment for this ComfyUI version, which is built if there is none."""
    if version not in build.RELEASES:
        raise SetupError(
            f"ComfyUI {version} cannot be had here; choose one of {', '.join(build.RELEASES)}, "
            "or pass --comfy-path with the folder of your own install"
        )
    folder = cache_folder() / "envs" / key(version)
    if found := _read_ready(folder):
        return found
    try:
        with Lock(folder.parent / f"{folder.name}.lock") as lock:
            # Another process may have built it while this one waited for the lock.
            return _read_ready(folder) or _set_up(folder, version, builder, lock)
    except OSError as error:
        raise SetupError(f"cannot set up {folder}: {error}; FLUX_DUET_CACHE=FOLDER chooses another place") from error


def _set_up(folder: Path, version: str, builder: Callable, lock: Lock) -> Environment:
    if folder.exists():
        # A venv cannot be moved, so it is built in its final place, and is valid only with the file READY.
        say("An earlier set-up was interrupted; starting it afresh.")
        shutil.rmtree(folder)
    check_python()
    _check_disk(folder.parent)
    others = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    say(
        f"Setting up ComfyUI {version} in {folder}\n"
        f"About {build.SIZE_GB} GB on disk and a few minutes; this happens once."
    )
    if others:
        say(f"Environments already there: {', '.join(others)}. Delete those you no longer use.")
    folder.mkdir(parents=True)
    python, comfyui = builder(folder, version, keep=lock.fd)
    ready = {"python": str(python), "comfyui": str(comfyui), "version": version}
    part = folder / f"{READY}.part"
    part.write_text(json.dumps(ready, indent=2), encoding="utf-8")
    os.replace(part, folder / READY)
    return _read_ready(folder)


def _read_ready(folder: Path) -> Environment | None:
    """The environment in this folder; None without READY, or if its base Python was removed."""
    try:
        ready = json.loads((folder / READY).read_text(encoding="utf-8"))
        found = Environment(Path(ready["python"]), Path(ready["comfyui"]), ready["version"], cache_folder())
    except (OSError, ValueError, KeyError):
        return None
    return found if found.python.exists() and (found.comfyui / "main.py").exists() else None


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free / GB
    if free < build.FREE_GB:
        raise SetupError(
            f"{folder} has {free:.1f} GB free, setting up needs {build.FREE_GB}; free some space, "
            "or set FLUX_DUET_CACHE to a folder on a larger disk"
        )


def check_python() -> None:
    """PyTorch's wheels need a 64-bit CPython; venv needs ensurepip, which some distributions package apart."""
    if platform.python_implementation() != "CPython" or sys.maxsize <= 2**32:
        raise SetupError(
            f"{sys.executable} is a {platform.architecture()[0]} {platform.python_implementation()}; "
            "PyTorch needs a 64-bit CPython, run dev.py with one"
        )
    if not build.can_make_venv():
        package = f"python3.{sys.version_info.minor}-venv"
        raise SetupError(
            f"{sys.executable} cannot make virtual environments; on Debian and Ubuntu run "
            f"`apt install {package}`, elsewhere install Python from python.org"
        )


def existing(folder: str, python: str | None = None) -> Environment:
    """The user's own ComfyUI, with the given Python or the one in an installer's usual place."""
    comfyui = Path(folder).expanduser().resolve()
    if not (comfyui / "main.py").is_file() or not (comfyui / "comfy").is_dir():
        raise SetupError(
            f"--comfy-path {comfyui} is not a ComfyUI folder (no main.py and comfy/ in it); "
            "name the folder that holds main.py"
        )
    return Environment(_python_of(comfyui, python), comfyui, _version_of(comfyui), cache_folder())


def _python_of(comfyui: Path, python: str | None) -> Path:
    if python:
        # Not resolved: a venv's python is a link, and finds its packages only by the link's path.
        path = Path(shutil.which(python) or Path(python).expanduser().absolute())
        if not path.is_file():
            raise SetupError(f"--python {python} is not a file; name the Python executable that runs ComfyUI")
        return path
    places = [build.venv_python(base / name) for base in (comfyui, comfyui.parent) for name in ("venv", ".venv")]
    places.append(comfyui.parent / "python_embeded" / "python.exe")  # the spelling of ComfyUI's portable build
    for place in places:
        if place.is_file():
            return place
    raise SetupError(f"found no venv, .venv or python_embeded at {comfyui}; name its Python with --python PATH")


def _version_of(comfyui: Path) -> str:
    try:
        text = (comfyui / "comfyui_version.py").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"__version__\s*=\s*[\"']([^\"']+)", text)
    return found.group(1) if found else "unknown"
