"""Where ComfyUI's server answers for the pack. A route's own file is imported at its first request. Imports ComfyUI."""

from __future__ import annotations

from aiohttp import web


def register(routes: web.RouteTableDef) -> None:
    """Adds the pack's routes to ComfyUI's."""
    routes.post("/flux_duet/tokens")(tokens)
    routes.post("/flux_duet/sigmas")(sigmas)
    routes.post("/flux_duet/heatmap")(heatmap)


async def tokens(request: web.Request) -> web.Response:
    from .tokens import tokens

    return await tokens(request)


async def sigmas(request: web.Request) -> web.Response:
    from .sigmas import sigmas

    return await sigmas(request)


async def heatmap(request: web.Request) -> web.Response:
    from .heatmap import heatmap

    return await heatmap(request)
