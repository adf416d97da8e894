"""The Open Inference Protocol, version 2, over HTTP: what clients of KServe, Triton and others speak."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from l2l_engine.result import Prediction
from l2l_engine.serve import tensors
from l2l_engine.serve.intake import Body
from l2l_engine.serve.options import checked
from l2l_engine.serve.problems import RefusedError, bad_request
from l2l_engine.serve.requests import counted, reception, service_of, while_it_listens
from l2l_engine.serve.work import Video

VERSION = "1"
"""A plan has one version here: another is another name."""


async def live(request: Request) -> Response:
    """Whether the process answers."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    """Whether requests are taken: not while it shuts down."""
    draining = service_of(request).queue.draining
    return JSONResponse({"ready": not draining}, 503 if draining else 200)


async def server(request: Request) -> Response:
    """What this server is."""
    return JSONResponse(
        {"name": "l2l_engine", "version": version("l2l_engine"), "extensions": ["binary_tensor_data"]}
    )


async def model_ready(request: Request) -> Response:
    """Whether a plan answers."""
    name, _ = service_of(request).models.get(_name(request))
    draining = service_of(request).queue.draining
    return JSONResponse({"name": name, "ready": not draining}, 503 if draining else 200)


async def model(request: Request) -> Response:
    """A plan's inputs and outputs."""
    name, classifier = service_of(request).models.get(_name(request))
    sizes = {"label": 1, "probabilities": len(classifier.class_names), "segments": 1}
    outputs = [
        {"name": output, "datatype": kind, "shape": [sizes[output]]}
        for output, kind in tensors.OUTPUTS.items()
    ]
    inputs = [{"name": "video", "datatype": "BYTES", "shape": [1]}]
    about = {
        "name": name,
        "versions": [VERSION],
        "platform": "l2l_engine",
        "inputs": inputs,
        "outputs": outputs,
    }
    return JSONResponse(about)


async def infer(request: Request) -> Response:
    """A video in, the tensors asked for out."""
    service = service_of(request)
    name, classifier = service.models.get(_name(request))
    async with reception(request) as (path, told):
        header = await counted(service, _receive(request, path))
        asked = tensors.asked(header)
        options = checked(classifier, asked.parameters)
        request.state.plan = name

        def make(prediction: Prediction) -> tuple[bytes, dict[str, str]]:
            return tensors.respond(prediction, asked, name, VERSION)

        video = Video(path, "video", name, classifier, options)
        content, headers = await while_it_listens(
            request, lambda abandoned: service.answer(video, make, told, abandoned)
        )
    return Response(content, headers=headers)


async def _receive(request: Request, path: Path) -> Mapping[str, Any]:
    settings = service_of(request).settings
    length = request.headers.get(tensors.HEADER)
    if length is None:
        return await tensors.read_text(Body(request, tensors.MOST_JSON_VIDEO, settings.upload_s), path)
    if not length.isdigit():
        raise bad_request(f"{tensors.HEADER} must be a number")
    body = Body(request, settings.max_bytes + int(length), settings.upload_s)
    return await tensors.read_binary(body, int(length), path)


def _name(request: Request) -> str:
    if request.path_params.get("version", VERSION) != VERSION:
        raise RefusedError(404, "no_plan", f"there is version {VERSION} alone")
    return str(request.path_params["name"])


def _both(suffix: str, endpoint: Any, methods: list[str]) -> list[Route]:
    paths = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    return [Route(path + suffix, endpoint, methods=methods) for path in paths]


ROUTES = [
    Route("/v2", server),
    Route("/v2/health/live", live),
    Route("/v2/health/ready", ready),
    *_both("", model, ["GET"]),
    *_both("/ready", model_ready, ["GET"]),
    *_both("/infer", infer, ["POST"]),
]
