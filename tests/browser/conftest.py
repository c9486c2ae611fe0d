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


@pytest.fixture
def front(_page):
    """The page with an empty graph and no complaint."""
    _page.page.evaluate("() => app.graph.clear()")
    _page.errors.clear()
    return _page
