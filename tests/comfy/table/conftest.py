import pytest

from flux_duet.nodes.sample.table import run


@pytest.fixture
def reports(monkeypatch):
    """The reports of all runs with a table."""
    found, own = [], run.Table

    def kept(*args):
        table = own(*args)
        found.append(table.report)
        return table

    monkeypatch.setattr(run, "Table", kept)
    return found


# The models and nodes that the matrix combines.
from flux_duet.tests.comfy.matrix.conftest import flux, world  # noqa: E402, F401
