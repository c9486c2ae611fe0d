"""Shared by the browser tests: a server with the default models, and a page in each of the two renderers."""

import functools

import pytest


@pytest.fixture(scope="session")
def comfy_server(make_server):
    """Stands in for the suite's own server: no model but those that come with the pack. It keeps every node's result:
    what has run in one renderer is there when the other one asks for the same."""
    with make_server(model_folders={}, args=["--cache-lru", "1000"]) as server:
        yield server


@pytest.fixture(scope="session")
def _page(_browser, comfy_server):
    """`_page(vue)`: each opened once, because that takes as long as all tests of a file in it."""
    from flux_duet.devtools.front_end import FrontEnd

    @functools.cache
    def page(vue: bool) -> FrontEnd:
        opened.append(FrontEnd(_browser, comfy_server, vue=vue))
        return opened[-1]

    opened = []
    yield page
    for each in opened:
        each.close()


# The front end keeps widgets' values by graph and node, and a cleared graph's id is always the same.
EMPTY = """() => {
    app.graph.clear();
    app.graph.id = crypto.randomUUID();
    sessionStorage.clear();
}"""


@pytest.fixture(params=[False, True], ids=["litegraph", "vue"])
def front(_page, comfy_server, request):
    """The page as a user opens it: an empty graph and no panel beside it, no other test's results
    or pointer and no complaint."""
    front = _page(request.param)
    comfy_server.post("/settings", {"Comfy.VueNodes.Enabled": request.param})  # the other page's, after a reload
    front.page.evaluate(EMPTY)
    front.set("Comfy.RightSidePanel.IsOpen", False)
    front.page.mouse.move(0, 0)
    front.errors.clear()
    return front


@pytest.fixture
def forgotten(comfy_server):
    """For a test that deletes what results name: the server forgets them, so that no other test is given them."""
    yield
    comfy_server.post("/free", {"free_memory": True})
