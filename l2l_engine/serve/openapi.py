"""The description of the service, in the format of OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from l2l_engine.serve.options import OPTIONS
from l2l_engine.serve.tensors import HEADER, OUTPUTS

_KINDS = {int: "integer", float: "number", str: "string", bool: "boolean"}
_STATUSES = {
    400: "The request is wrong.",
    403: "The URI may not be opened.",
    404: "There is no such plan, file or address.",
    408: "The file did not come in time.",
    413: "The file is too large.",
    415: "Neither a form nor JSON.",
    422: "The file cannot be used; `error` says why.",
    429: "Too many videos are waiting; see Retry-After.",
    503: "The service is about to end, or its device cannot be used.",
    504: "It took too long.",
}


def openapi(plans: Sequence[str]) -> dict[str, Any]:
    """The description, as JSON.

    Args:
        plans: Names of the plans there are.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "l2l_engine",
            "version": version("l2l_engine"),
            "description": "Says what happens in a video, by listening before it looks.",
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(plans)},
    }


def _paths() -> dict[str, Any]:
    video = {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _ref("Upload")},
            "application/json": {"schema": _ref("Named")},
        },
    }
    page = {"text/html": {"schema": {"type": "string"}}}
    paths = {
        "/predict": {"post": _operation("predict", "What happens in a video.", _json("Prediction"), video)},
        "/timeline": {"post": _operation("timeline", "The same as a page for people.", page, video)},
        "/progress/{id}": {
            "get": _operation(
                "progress", "How far a request is, by its X-Request-ID.", _json("Progress"), of="id"
            )
        },
        "/about": {"get": _operation("about", "Plans, classes and limits.", _json("About"))},
        "/metrics": {
            "get": _operation(
                "metrics", "Counters for Prometheus.", {"text/plain": {"schema": {"type": "string"}}}
            )
        },
    }
    return paths | _v2_paths()


def _v2_paths() -> dict[str, Any]:
    body = {
        "required": True,
        "content": {
            "application/json": {"schema": _ref("InferRequest")},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
        "description": f"With the header {HEADER}: JSON of that length, 4 bytes of length, the video.",
    }
    anything = {"application/json": {"schema": {"type": "object"}}}
    model = "/v2/models/{name}"
    infer = _operation("infer", "Open Inference Protocol: infer.", _json("InferResponse"), body, of="name")
    return {
        "/v2": {"get": _operation("server", "Open Inference Protocol: this server.", anything)},
        "/v2/health/live": {"get": _operation("live", "Whether it answers.", anything)},
        "/v2/health/ready": {"get": _operation("ready", "Whether it takes requests.", anything)},
        model: {"get": _operation("model", "A plan's inputs and outputs.", anything, of="name")},
        f"{model}/ready": {"get": _operation("model_ready", "Whether a plan answers.", anything, of="name")},
        f"{model}/infer": {"post": infer},
    }


def _operation(
    name: str,
    summary: str,
    content: dict[str, Any],
    body: dict[str, Any] | None = None,
    of: str | None = None,
) -> dict[str, Any]:
    statuses: Iterable[int] = _STATUSES if body is not None else [404] if of is not None else [503]
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    responses |= {
        str(status): {"description": _STATUSES[status], "content": _json("Problem")} for status in statuses
    }
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = body
    if of is not None:
        operation["parameters"] = [{"name": of, "in": "path", "required": True, "schema": {"type": "string"}}]
    return operation


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(schema)}}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _schemas(plans: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        name: {"type": _KINDS[option.kind], "description": option.meaning} for name, option in OPTIONS.items()
    }
    options["plan"] = {"type": "string", "enum": list(plans), "default": plans[0]}
    text, number, array = {"type": "string"}, {"type": "number"}, {"type": "array"}
    numbers = {"type": "array", "items": number}
    segment = {"label": text, "start_s": number, "end_s": number, "score": number}
    segments = {"type": ["array", "null"], "items": _object(segment, list(segment))}
    prediction = {
        "label": text,
        "confidence": number,
        "top_k": {"type": "array", "items": array},
        "probabilities": numbers,
        "moments": {"type": "array", "items": {"type": "object"}},
        "timestamps": numbers,
        "timings": {"type": "object", "additionalProperties": number},
        "media": {"type": ["object", "null"]},
        "labels": {"type": "array", "items": text},
        "segments": segments | {"description": "When it happens; null of a plan that does not say."},
    }
    video = {"type": "string", "format": "binary", "description": "The file."}
    uri = {
        "type": "string",
        "format": "uri",
        "description": "Where the file lies, by a protocol that is allowed.",
    }
    return {
        "Upload": _object({"video": video} | options, ["video"]),
        "Named": _object({"uri": uri} | options, ["uri"]),
        "Prediction": _object(prediction, ["label", "confidence", "probabilities", "moments"]),
        "Progress": _object({"state": text, "stage": text, "done": number}, ["state"]),
        "About": _object(
            {"plans": array, "options": array, "limits": {"type": "object"}, "allow": array}, ["plans"]
        ),
        "Problem": _object({"error": text, "kind": text, "request_id": text}, ["error", "kind"]),
        "InferRequest": _object({"id": text, "inputs": array, "outputs": array}, ["inputs"]),
        "InferResponse": _object(
            {"model_name": text, "id": text, "outputs": array | {"description": ", ".join(OUTPUTS)}},
            ["outputs"],
        ),
    }


def _object(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}
