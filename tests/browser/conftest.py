"""What the browser tests share: ComfyUI as a user has it, a page of it in each of the front end's two renderers."""

import pytest


@pytest.fixture(scope="session")
def comfy_server(make_server):
    """Stands in for the suite's own server: no model but those that come with the pack."""
    with make_server(model_folders={}) as server:
        yield server


@pytest.fixture(scope="session", params=[False, True], ids=["litegraph", "vue"])
def _page(_browser, comfy_server, request):
    """Opened once, because that takes as long as all tests in it."""
    from flux_duet.devtools.front_end import FrontEnd

    page = FrontEnd(_browser, comfy_server, vue=request.param)
    yield page
    page.close()


# The front end keeps widgets' values by graph and node, and a cleared graph's id is always the same.
EMPTY = """() => {
    app.graph.clear();
    app.graph.id = crypto.randomUUID();
    sessionStorage.clear();
}"""


@pytest.fixture
def front(_page):
    """The page as a user opens it: an empty graph and no panel beside it, no other test's results
    or pointer and no complaint."""
    _page.page.evaluate(EMPTY)
    _page.set("Comfy.RightSidePanel.IsOpen", False)
    _page.page.mouse.move(0, 0)
    _page.errors.clear()
    return _page
