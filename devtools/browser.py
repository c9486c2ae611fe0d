"""Finds an installed Chrome, Chromium or Edge for the browser tests, or installs Debian's if allowed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import say

COMMANDS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"]
MAC = ["Google Chrome", "Chromium", "Microsoft Edge"]
WINDOWS = [
    r"Google\Chrome\Application\chrome.exe",
    r"Chromium\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
]
HOW_TO = "install Chrome or Chromium, or set CHROME_PATH to its executable"


def find() -> Path | None:
    """CHROME_PATH, else the first browser on PATH or in the usual places of macOS and Windows."""
    if chosen := os.environ.get("CHROME_PATH"):
        return Path(chosen) if Path(chosen).is_file() else None
    for command in COMMANDS:
        if path := shutil.which(command):
            return Path(path)
    return next((path for path in _usual_places() if path.is_file()), None)


def _usual_places() -> list[Path]:
    if sys.platform == "darwin":
        bases = [Path("/Applications"), Path.home() / "Applications"]
        return [base / f"{name}.app/Contents/MacOS/{name}" for base in bases for name in MAC]
    if sys.platform == "win32":
        bases = [os.environ.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
        return [Path(base, place) for base in bases if base for place in WINDOWS]
    return []


def provide() -> Path | None:
    """The path of a browser, which is installed if necessary and allowed; else prints what to do and returns None."""
    if path := find():
        return path
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing Chromium for the browser tests ...")
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core")
    path = find()
    if path is None:
        say(f"No browser found, so the browser tests will be skipped; to run them, {HOW_TO}.")
    return path


def _apt(*args: str) -> None:
    done = subprocess.run(
        ["apt-get", "-qq", *args],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        say(f"apt-get {args[0]} failed: {lines[-1]}")
