"""The application: which address answers what."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from l2l_engine.serve import answers, v2
from l2l_engine.serve.metrics import Metrics
from l2l_engine.serve.models import Models, open_models
from l2l_engine.serve.observing import Observed, refused
from l2l_engine.serve.openapi import openapi
from l2l_engine.serve.page import page
from l2l_engine.serve.problems import RefusedError
from l2l_engine.serve.queueing import WorkQueue
from l2l_engine.serve.settings import Settings
from l2l_engine.serve.uris import Resolve, UriOpener, resolve
from l2l_engine.serve.work import Service


def create_app(settings: Settings, *, models: Models | None = None, resolve: Resolve = resolve) -> Starlette:
    """The service as an ASGI application, for any server that speaks that.

    Unless they are handed in, plans are loaded when the server starts it, and let go when it ends.

    Args:
        settings: What it serves, and what it takes.
        models: The plans, loaded already; they stay the caller's.
        resolve: Gives the addresses of a host that a URI names.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        opened = open_models(settings) if models is None else nullcontext(models)
        with opened as loaded, tempfile.TemporaryDirectory(prefix="l2l-serve-") as folder:
            queue = WorkQueue(settings.workers, settings.queue)
            opener = UriOpener(settings, resolve)
            app.state.service = Service(settings, loaded, queue, Metrics(queue), opener, Path(folder), {})
            yield
            queue.close()

    routes = [
        Route("/", page),
        Route("/predict", answers.predict, methods=["POST"]),
        Route("/timeline", answers.timeline, methods=["POST"]),
        Route("/progress/{id}", answers.progress),
        Route("/about", answers.about),
        Route("/metrics", answers.metrics),
        Route("/openapi.json", _describe),
        *v2.ROUTES,
    ]
    handlers = {RefusedError: refused, HTTPException: _no_such_route}
    return Starlette(
        routes=routes, lifespan=lifespan, middleware=[Middleware(Observed)], exception_handlers=handlers
    )


async def _describe(request: Request) -> Response:
    return JSONResponse(openapi(request.app.state.service.models.names))


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = RefusedError(error.status_code, "request", error.detail, error.headers)
    return await refused(request, problem)
