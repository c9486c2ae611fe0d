"""Shared by the tests of embedding files: temporary folders, and a prompt."""

import folder_paths
import pytest

from flux_duet.nodes.encode.nodes import ClipEncode, T5Encode
from flux_duet.tests.comfy.stream_file.files import TEXT


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch, as_executed):
    for name in ("input", "output"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))


@pytest.fixture
def streams(singles):
    clip_l, t5 = singles
    vec = ClipEncode.execute(clip_l, TEXT).args[0]
    return vec, T5Encode.execute(t5, TEXT, "exact", "attention").args[0]
