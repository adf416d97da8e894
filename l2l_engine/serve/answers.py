"""What the service answers itself with: predictions, pages, how far they are, what it can do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from l2l_engine.serve.options import OPTIONS
from l2l_engine.serve.problems import RefusedError
from l2l_engine.serve.requests import receive, reception, service_of, while_it_listens
from l2l_engine.serve.work import as_json, as_page


async def predict(request: Request) -> Response:
    """A video in, its prediction out."""
    service = service_of(request)
    async with reception(request) as (path, told):
        video = await receive(request, path)
        content = await while_it_listens(
            request, lambda abandoned: service.answer(video, as_json, told, abandoned)
        )
    return Response(content, media_type="application/json")


async def timeline(request: Request) -> Response:
    """A video in, the page about it out."""
    service = service_of(request)
    async with reception(request) as (path, told):
        video = await receive(request, path)
        make = as_page(video, service.settings.limits, service.settings.timeout_s)
        content = await while_it_listens(
            request, lambda abandoned: service.answer(video, make, told, abandoned)
        )
    return Response(content, media_type="text/html")


async def progress(request: Request) -> Response:
    """How far the request of that id is."""
    told = service_of(request).progress.get(request.path_params["id"])
    if told is None:
        raise RefusedError(404, "not_found", "no request of that id is being answered")
    return JSONResponse({"state": told.state, "stage": told.stage, "done": told.done})


async def about(request: Request) -> Response:
    """The plans, their classes and the limits."""
    service = service_of(request)
    plans = []
    for name in service.models.names:
        _, classifier = service.models.get(name)
        plans.append(
            {
                "name": name,
                "classes": list(classifier.class_names),
                "device": classifier.device,
                "precision": classifier.precision,
                "sha256": classifier.plan.sha256,
            }
        )
    settings = service.settings
    limits = {"max_bytes": settings.max_bytes, "timeout_s": settings.timeout_s, "upload_s": settings.upload_s}
    return JSONResponse(
        {"plans": plans, "options": list(OPTIONS), "limits": limits, "allow": list(settings.allow)}
    )


async def metrics(request: Request) -> Response:
    """What was counted, for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4")
