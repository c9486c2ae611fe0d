"""dev.py's command line: finds the environment, then runs the command with its Python."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import ROOT, SetupError, browser, build, environment, say
from .environment import Environment
from .lint import CHECKS, Tools, lint

FAST = "not slow and not server and not browser"
MOST_WORKERS = 4  # each has its own copy of torch, a server and a browser: about 3 GB
FEW_FILES = 6  # starting a worker takes some seconds, which does not pay for fewer files
# pytest options for which tests must run in one process.
ALONE = ("--pdb", "--trace", "-s", "--capture=no", "--co", "--collect-only", "-h", "--help", "--fixtures", "--markers")
EPILOG = """--comfy, --comfy-path and --python may stand before or after the command.
Environments are kept in {cache}; FLUX_DUET_CACHE chooses another folder."""


def shared_options() -> argparse.ArgumentParser:
    """The options of every command: which ComfyUI to work with."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument(
        "--comfy", metavar="VERSION", help=f"one of {', '.join(build.RELEASES)}; {build.DEFAULT} by default"
    )
    options.add_argument("--comfy-path", metavar="DIR", help="your own ComfyUI folder; nothing is written into it")
    options.add_argument("--python", metavar="PATH", help="the Python of --comfy-path, if it is not in its venv")
    return options


def add_test_options(test: argparse.ArgumentParser) -> None:
    test.add_argument("--fast", action="store_true", help="leave out slow, server and browser tests")
    test.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"run in N processes, 0 for this one alone; by default "
        f"as many as there are cores, {MOST_WORKERS} at most, and for {FEW_FILES} files or fewer none",
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="dev.py",
        description="Flux Duet: demo, tests and tools, each in one command.",
        allow_abbrev=False,
        parents=[shared_options()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG.format(cache=environment.cache_folder()),
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str, own_help: bool = True) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, add_help=own_help, allow_abbrev=False)

    command("demo", "make a picture from two prompts, one for CLIP and one for T5", own_help=False)
    add_test_options(command("test", "run the tests; what follows -- goes to pytest"))
    checks = command("lint", "check style, format and types; files that follow -- are all that ruff looks at")
    checks.add_argument("checks", nargs="*", metavar="CHECK", help=f"some of {', '.join(CHECKS)}; else all of them")
    checks.add_argument("--fix", action="store_true", help="mend what the tools can mend by themselves")
    comfy = command("comfy", "start ComfyUI with this pack in it; what follows -- goes to ComfyUI")
    comfy.add_argument("--port", type=int, default=8188)
    bench = command("bench", "run a benchmark")
    bench.add_argument("name", help="a module of bench/, for instance edit")
    command("check", "compare with native nodes on this machine, and write a report for an issue", own_help=False)
    fuzz = command("fuzz", "send odd texts, files, requests and workflows into the pack, and print the outcome")
    fuzz.add_argument("--minutes", type=float, default=1)
    fuzz.add_argument("--seed", type=int, default=0)
    command("captions", "check a folder of LoRA captions: what CLIP-L and T5 read of them", own_help=False)
    command("train-nano", "train the nano models", own_help=False)
    command("grid", "run a workflow's grids, sweeps and studies on Ray workers, without a display", own_help=False)
    command("env", "print the environment as JSON: python, comfyui, version, cache")
    run = command("run", "run a module of the pack, with ComfyUI at hand")
    run.add_argument("module", help="its name inside the pack, for instance nano.train")
    for holder in (bench, run):
        holder.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="goes to the module")
    return top


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments for the program that the command starts."""
    cut = argv.index("--") if "--" in argv else len(argv)
    head, tail = argv[:cut], argv[cut + 1 :]
    # Parsed first, so that they may be before or after the command.
    shared, head = shared_options().parse_known_args(head)
    top = parser()
    options, unknown = top.parse_known_args(head)
    if options.command is None and not unknown:
        return options, []
    if unknown and options.command not in ("demo", "test", "captions", "check", "grid", "train-nano"):
        top.error(f"unknown argument {unknown[0]}")
    if shared.comfy and shared.comfy_path:
        top.error("--comfy and --comfy-path name two different ComfyUIs; give one of them")
    if shared.python and not shared.comfy_path:
        top.error("--python goes with --comfy-path; our own environments bring their Python")
    rest = [*getattr(options, "rest", []), *unknown, *tail]
    vars(options).update(vars(shared))
    return options, rest


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_files(rest: list[str]) -> int:
    """The number of test files in pytest's arguments; that of all test files if there are none."""
    named = [path for each in rest if not each.startswith("-") and (path := Path(each.split("::")[0])).exists()]
    return sum(len(list(path.rglob("test_*.py"))) if path.is_dir() else 1 for path in named or [ROOT / "tests"])


def workers(wanted: int | None, rest: list[str]) -> list[str]:
    """pytest-xdist's option; none if workers would not pay, or if the arguments need one process."""
    if wanted is None:
        alone = any(each in ALONE or each.startswith("-n") for each in rest) or test_files(rest) <= FEW_FILES
        wanted = 0 if alone else min(cores(), MOST_WORKERS)
    return ["-n", str(wanted)] if wanted > 1 else []


def environment_for(options: argparse.Namespace) -> Environment:
    if options.comfy_path:
        return environment.existing(options.comfy_path, options.python)
    return environment.ensure(options.comfy or build.DEFAULT)


def inside(found: Environment, *args: str) -> None:
    """Runs the environment's Python, if possible in this process, so that it receives signals."""
    command = [str(found.python), str(ROOT / "devtools" / "inside.py"), *args]
    variables = {**os.environ, "FLUX_DUET_COMFYUI": str(found.comfyui), "PYTHONUNBUFFERED": "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # exec would return to the terminal at once
        sys.exit(subprocess.call(command, env=variables))
    os.execve(command[0], command, variables)


def run(options: argparse.Namespace, rest: list[str]) -> None:
    if options.command == "test" and not options.fast:
        browser.provide()
    found = environment_for(options)
    if options.command == "env":
        print(found.as_json())
    elif options.command == "test":
        fast = ["-m", FAST] if options.fast else []
        inside(
            found,
            "--pytest",
            "--rootdir",
            str(ROOT),
            "-c",
            str(ROOT / "pyproject.toml"),
            *fast,
            *workers(options.workers, rest),
            *rest,
        )
    elif options.command == "lint":
        lint(Tools(found.python, found.cache), options.checks, options.fix, rest)
    elif options.command == "demo":
        inside(found, "devtools.demo", *rest)
    elif options.command == "comfy":
        inside(found, "devtools.serve", "--port", str(options.port), "--base", str(found.cache / "workspace"), *rest)
    elif options.command == "bench":
        inside(found, f"bench.{options.name}", *rest)
    elif options.command == "check":
        inside(found, "check.run", *rest)
    elif options.command == "fuzz":
        inside(found, "devtools.fuzz", "--minutes", str(options.minutes), "--seed", str(options.seed))
    elif options.command == "captions":
        inside(found, "devtools.captions", *rest)
    elif options.command == "grid":
        inside(found, "devtools.grid", *rest)
    elif options.command == "train-nano":
        inside(found, "nano.train", *rest)
    elif options.command == "run":
        inside(found, options.module, *rest)


def main(argv: list[str]) -> int:
    # SIGTERM acts like Ctrl-C, so that child processes are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, rest = parse(argv)
    if options.command is None:
        parser().print_help()
        return 0
    try:
        run(options, rest)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
