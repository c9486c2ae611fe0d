"""The folder for temporary files, which ComfyUI empties when it starts. Imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

import folder_paths


def temporary_folder() -> Path:
    """The pack's subfolder of ComfyUI's temporary folder."""
    return Path(folder_paths.get_temp_directory()) / "flux_duet"
