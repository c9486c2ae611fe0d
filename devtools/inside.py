"""The first module to run inside an environment: makes the pack importable as `flux_duet`, and ComfyUI importable.

    python devtools/inside.py MODULE [args]      runs flux_duet.MODULE as the main program
    python devtools/inside.py --pytest [args]    runs pytest

Never imported by name from a folder on sys.path: the pack's root must not be there, because ComfyUI has top-level
modules called `nodes` and `server` too. tests/conftest.py and other tools load this file by its path and call `boot`.
"""

import importlib.metadata
import importlib.util
import os
import re
import runpy
import signal
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
NAME = "flux_duet"
COMFYUI = "FLUX_DUET_COMFYUI"  # the environment variable with ComfyUI's folder, set by dev.py


def load_pack() -> ModuleType:
    """Imports the pack as `flux_duet`, whatever its folder is called."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    pack = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = pack
    spec.loader.exec_module(pack)
    return pack


def has_accelerator() -> bool:
    """Whether torch has any device but the CPU."""
    try:
        import torch
    except ImportError:
        raise SystemExit(
            f"error: {sys.executable} has no torch, so it is not ComfyUI's Python; name that one with --python PATH"
        ) from None
    if hasattr(torch, "accelerator"):
        return torch.accelerator.is_available()
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def load_comfyui() -> None:
    """Adds ComfyUI to sys.path, set to the CPU if there is no other device: it would require an NVIDIA driver."""
    folder = os.environ.get(COMFYUI)
    if not folder:
        raise SystemExit(f"error: {COMFYUI} is not set, so ComfyUI cannot be found; start with `python dev.py ...`")
    here = {str(ROOT), str(ROOT / "devtools")}
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) not in here]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Before ComfyUI's `nodes`: in 0.24 and older that makes comfy/utils.py the first to be found.
    importlib.import_module("utils")
    import comfy.cli_args  # reads no command line of ours: ComfyUI parses it only when main.py asks

    comfy.cli_args.args.cpu = not has_accelerator()


def boot() -> ModuleType:
    """Makes ComfyUI and the pack importable; may be called more than once."""
    load_comfyui()
    return load_pack()


def exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent package is missing too
        return False


def missing_requirements(comfyui: Path) -> list[str]:
    """ComfyUI's requirements that this Python does not have, by their names in its requirements.txt."""
    try:
        lines = (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    names = [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip()))]
    return [name for name in names if not has_distribution(name)]


def has_distribution(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main(module: str, *args: str) -> None:
    """Runs a module of the pack, or pytest. If an import fails, tells all that is missing in one message."""
    try:
        run(module, *args)
    except ModuleNotFoundError as error:
        if missing := missing_requirements(Path(os.environ.get(COMFYUI, ""))):
            raise SystemExit(
                f"error: {sys.executable} has no module {error.name}. Of ComfyUI's requirements it lacks: "
                f"{', '.join(missing)}. Name a Python that has them with --python PATH, or give them to this one:\n"
                f"  {sys.executable} -m pip install {' '.join(missing)}"
            ) from None
        raise


def run(module: str, *args: str) -> None:
    # SIGTERM acts like Ctrl-C, so that servers are stopped and their folders removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    boot()
    if module == "--pytest":
        for needed, package in (("pytest", "pytest"), ("xdist", "pytest-xdist"))[: 1 + ("-n" in args)]:
            if not exists(needed):
                raise SystemExit(
                    f"error: {sys.executable} has no {package}; give it what tests need with\n"
                    f"  {sys.executable} -m pip install -r {ROOT / 'requirements-dev.txt'}"
                )
        import pytest

        raise SystemExit(pytest.main(list(args)))
    name = f"{NAME}.{module.removeprefix(f'{NAME}.')}"
    if not exists(name):
        raise SystemExit(
            f"error: there is no {name.removeprefix(f'{NAME}.').replace('.', '/')}.py in {ROOT}; check the name"
        )
    sys.argv = [name, *args]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
