"""The modules of dev.py. Standard library only, except for files whose docstring names what they need."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class SetupError(Exception):
    """An error that the user can fix; dev.py prints it as one line."""


def say(text: str) -> None:
    """Prints a message to stderr; stdout is for the command's result."""
    print(text, file=sys.stderr, flush=True)
