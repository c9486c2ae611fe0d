"""What dev.py is made of. Standard library only; the files that need the environment's packages say so at their top."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class SetupError(Exception):
    """Something the user can put right; dev.py prints it as one line."""


def say(text: str) -> None:
    """Talk to the person at the terminal: on stderr, because stdout belongs to the command's result."""
    print(text, file=sys.stderr, flush=True)
