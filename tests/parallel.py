"""Runs the suite in several processes with pytest-xdist: what runs together, and in which order.

What belongs together is a file, so that what its tests share is made once; of a file that takes minutes, what belongs
to one workflow, whose run in one renderer is not repeated for the other. The queue is in the order of collection: so
every process goes from unit tests to browser tests, after which no asyncio.run works in it any more.
"""

# Its tests take the longest and share only a workflow's run.
APART = "tests/browser/test_workflows.py"


def piece(nodeid: str) -> str:
    """The name of the group that a test belongs to."""
    path, _, test = nodeid.partition("::")
    workflow = test.partition("[")[2].rstrip("]").partition("-")[2]  # after the renderer's name
    return f"{path} {workflow}" if path == APART else path


def scheduler(config, log):
    """xdist's scheduler for these groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Pieces(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return piece(nodeid)

    config.option.loadscopereorder = False  # it would run the groups with the most tests first
    return Pieces(config, log)
