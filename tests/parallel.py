"""The suite in several processes, by pytest-xdist: what is given out in one piece, and in which order.

What belongs together is a file, so that what its tests share is made once; of browser tests, a file in one of the two
renderers, because opening a page takes longer than most of them. The queue is in the order of collection, so that
every process walks the same way: from unit tests to browser tests, and there from one renderer to the other.
"""

import re

# Its tests share nothing but the page and take the longest: they fill up whichever process has time left.
APART = "tests/browser/test_workflows.py"


def piece(nodeid: str) -> str:
    """The name of the piece of work that a test belongs to."""
    path, _, test = nodeid.partition("::")
    parameters = re.search(r"\[((?:litegraph|vue).*)\]$", test)
    if not parameters:
        return path
    return f"{path} {parameters[1] if path == APART else parameters[1].split('-')[0]}"


def scheduler(config, log):
    """xdist's scheduler of these pieces."""
    from xdist.scheduler import LoadScopeScheduling

    class Pieces(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return piece(nodeid)

    config.option.loadscopereorder = False  # it would put the pieces with the most tests first
    return Pieces(config, log)
