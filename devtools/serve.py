"""`dev.py comfy`: ComfyUI with this pack in it, in the terminal, until Ctrl-C."""

import argparse
import subprocess
import sys
from pathlib import Path

from . import say
from .server import Server


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py comfy")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--base", type=Path, required=True)
    options, rest = parser.parse_known_args()
    server = Server(port=options.port, base=options.base, args=rest)
    say(f"ComfyUI will be at {server.url}; Ctrl-C ends it.\nWorkflows and pictures are kept in {options.base}.")
    try:
        return subprocess.call(server.command())
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
