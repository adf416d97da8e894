"""From a request to a video that is here: a form, a URI, or bytes; and away with it when it is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from l2l_engine.serve.intake import MOST_JSON, Body, client_name, read_form, read_json
from l2l_engine.serve.options import checked, from_form
from l2l_engine.serve.problems import RefusedError, bad_request
from l2l_engine.serve.work import Progress, Service, Video, discard

_T = TypeVar("_T")


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def request_id(request: Request) -> str:
    """The id that the request has in logs."""
    return str(request.state.request_id)


@asynccontextmanager
async def reception(request: Request) -> AsyncIterator[tuple[Path, Progress]]:
    """A free path for a request's file, removed in the end, and its progress, which others can ask for.

    Raises:
        RefusedError: The queue is full, or too many files are coming in.
    """
    service = service_of(request)
    service.queue.require_room()
    if service.receiving >= service.settings.uploads:
        headers = {"Retry-After": str(service.queue.retry_after())}
        raise RefusedError(429, "busy", "too many files are coming in: try again later", headers)
    name, told, path = request_id(request), Progress(), service.free_path()
    service.progress[name] = told
    try:
        yield path, told
    finally:
        if service.progress.get(name) is told:
            del service.progress[name]
        discard(path)


async def counted(service: Service, coming: Awaitable[_T]) -> _T:
    """Wait for a file that is coming in, and count it meanwhile."""
    service.receiving += 1
    try:
        return await coming
    finally:
        service.receiving -= 1


async def receive(request: Request, path: Path) -> Video:
    """The video of a request: the field "video" of a form, or the URI in a JSON object.

    Args:
        request: The request.
        path: Where an upload goes.

    Raises:
        RefusedError: The request is wrong, or its video cannot be had.
    """
    service = service_of(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        coming = read_form(request, path, service.settings.max_bytes, service.settings.upload_s)
        form = await counted(service, coming)
        video = _video(service, path, form.filename, from_form(form.fields))
        request.state.plan = video.plan
        return video
    if kind == "application/json":
        content = await read_json(Body(request, MOST_JSON, service.settings.upload_s))
        uri = content.pop("uri", None)
        if not isinstance(uri, str):
            raise bad_request("name the video in 'uri', or send it in the field 'video' of a form")
        found = _video(service, path, client_name(uri.partition("?")[0]), content)
        request.state.plan = found.plan
        there = await counted(service, run_in_threadpool(service.opener.open, uri, path))
        return replace(found, path=there)
    raise RefusedError(415, "request", "send multipart/form-data or application/json")


def _video(service: Service, path: Path, name: str, asked: Mapping[str, Any]) -> Video:
    options = dict(asked)
    plan = options.pop("plan", None)
    if plan is not None and not isinstance(plan, str):
        raise bad_request("plan must be the name of one")
    plan, classifier = service.models.get(plan or None)
    return Video(path, name, plan, classifier, checked(classifier, options))


async def while_it_listens(request: Request, work: Callable[[threading.Event], Awaitable[_T]]) -> _T:
    """Do the work, and have it know when the client goes away.

    Args:
        request: Its body has been read.
        work: Takes what is set when nobody listens any more.
    """
    abandoned = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        abandoned.set()

    watching = asyncio.create_task(watch())
    try:
        return await work(abandoned)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
