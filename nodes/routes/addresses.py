"""Where ComfyUI's server answers for the pack. A route's own file is imported at its first request. Imports ComfyUI."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

from aiohttp import web


def register(routes: web.RouteTableDef) -> None:
    """Adds the pack's routes to ComfyUI's."""
    routes.post("/flux_duet/tokens")(tokens)
    routes.post("/flux_duet/sigmas")(sigmas)
    routes.post("/flux_duet/heatmap")(heatmap)
    routes.post("/flux_duet/worker")(worker)
    routes.post("/flux_duet/theme")(theme)


async def tokens(request: web.Request) -> web.Response:
    return await routed("tokens", request)


async def sigmas(request: web.Request) -> web.Response:
    return await routed("sigmas", request)


async def heatmap(request: web.Request) -> web.Response:
    return await routed("heatmap", request)


async def worker(request: web.Request) -> web.Response:
    return await routed("worker", request)


async def theme(request: web.Request) -> web.Response:
    return await routed("theme", request)


async def routed(name: str, request: web.Request) -> web.Response:
    """The answer of the function `name` in the file of that name; its import does not hold up other routes."""
    module = f"{__package__}.{name}"
    if module not in sys.modules:
        await asyncio.to_thread(import_module, module)
    return await getattr(import_module(module), name)(request)
