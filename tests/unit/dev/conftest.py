"""Each test has its own cache of environments."""

from types import SimpleNamespace

import pytest

from flux_duet.devtools import environment


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache for the test, on a disk that is large enough."""
    monkeypatch.setenv("FLUX_DUET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * environment.GB))
    return tmp_path / "cache"
