"""dev.py's command line: finds the environment, then hands over to its Python."""

import argparse
import os
import signal
import subprocess
import sys

from . import ROOT, SetupError, browser, build, environment, say
from .environment import Environment

FAST = "not slow and not server and not browser"
EPILOG = """--comfy, --comfy-path and --python may stand before or after the command.
Environments are kept in {cache}; FLUX_DUET_CACHE chooses another folder."""


def shared_options() -> argparse.ArgumentParser:
    """The options of every command: which ComfyUI to work with."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--comfy", metavar="VERSION", help=f"one of {', '.join(build.RELEASES)}; "
                         f"{build.DEFAULT} unless told otherwise")
    options.add_argument("--comfy-path", metavar="DIR", help="your own ComfyUI folder; nothing is written into it")
    options.add_argument("--python", metavar="PATH", help="the Python of --comfy-path, if it is not in its venv")
    return options


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="dev.py", description="Flux Duet: demo, tests and tools, each in one command.", allow_abbrev=False,
        parents=[shared_options()], formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG.format(cache=environment.cache_folder()))
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str, own_help: bool = True) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, add_help=own_help, allow_abbrev=False)

    command("demo", "make a picture from two prompts, one for CLIP and one for T5", own_help=False)
    test = command("test", "run the tests; what follows -- goes to pytest")
    test.add_argument("--fast", action="store_true", help="leave out slow, server and browser tests")
    comfy = command("comfy", "start ComfyUI with this pack in it; what follows -- goes to ComfyUI")
    comfy.add_argument("--port", type=int, default=8188)
    bench = command("bench", "run a benchmark")
    bench.add_argument("name", help="a module of bench/, for instance edit")
    fuzz = command("fuzz", "send odd texts, files, requests and workflows into the pack, and print what came of it")
    fuzz.add_argument("--minutes", type=float, default=1)
    fuzz.add_argument("--seed", type=int, default=0)
    command("train-nano", "train the nano models", own_help=False)
    command("env", "print the environment as JSON: python, comfyui, version, cache")
    run = command("run", "run a module of the pack, with ComfyUI at hand")
    run.add_argument("module", help="its name inside the pack, for instance nano.train")
    for holder in (bench, run):
        holder.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="goes to the module")
    return top


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments that are meant for what the command starts."""
    cut = argv.index("--") if "--" in argv else len(argv)
    head, tail = argv[:cut], argv[cut + 1:]
    # Taken out first: so they may stand on either side of the command.
    shared, head = shared_options().parse_known_args(head)
    top = parser()
    options, unknown = top.parse_known_args(head)
    if options.command is None and not unknown:
        return options, []
    if unknown and options.command not in ("demo", "test", "train-nano"):
        top.error(f"unknown argument {unknown[0]}")
    if shared.comfy and shared.comfy_path:
        top.error("--comfy and --comfy-path name two different ComfyUIs; give one of them")
    if shared.python and not shared.comfy_path:
        top.error("--python goes with --comfy-path; our own environments bring their Python")
    rest = [*getattr(options, "rest", []), *unknown, *tail]
    vars(options).update(vars(shared))
    return options, rest


def environment_for(options: argparse.Namespace) -> Environment:
    if options.comfy_path:
        return environment.existing(options.comfy_path, options.python)
    return environment.ensure(options.comfy or build.DEFAULT)


def inside(found: Environment, *args: str) -> None:
    """Go on in the environment's Python, in this process where the system can, so that signals reach it."""
    command = [str(found.python), str(ROOT / "devtools" / "inside.py"), *args]
    variables = {**os.environ, "FLUX_DUET_COMFYUI": str(found.comfyui), "PYTHONUNBUFFERED": "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # there, exec would give the terminal back at once
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
        inside(found, "--pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *fast, *rest)
    elif options.command == "demo":
        inside(found, "devtools.demo", *rest)
    elif options.command == "comfy":
        inside(found, "devtools.serve", "--port", str(options.port), "--base", str(found.cache / "workspace"), *rest)
    elif options.command == "bench":
        inside(found, f"bench.{options.name}", *rest)
    elif options.command == "fuzz":
        inside(found, "devtools.fuzz", "--minutes", str(options.minutes), "--seed", str(options.seed))
    elif options.command == "train-nano":
        inside(found, "nano.train", *rest)
    elif options.command == "run":
        inside(found, options.module, *rest)


def main(argv: list[str]) -> int:
    # A polite kill ends like Ctrl-C, so that what was started on the way ends too.
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
