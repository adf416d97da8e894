"""Every request gets an id, a line in the log, a place in the metrics, and an answer to a fault of ours."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l2l_engine.serve.intake import linger
from l2l_engine.serve.problems import RefusedError

log = logging.getLogger("l2l_engine.serve")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class JsonLines(logging.Formatter):
    """A JSON object a line; ``extra={"fields": {...}}`` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: text of strangers stays in one line and in quotes."""
        content: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=True)


def log_to_stderr(level: str = "info") -> None:
    """Have everything in this process log JSON lines to standard error, other packages too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("l2l_engine", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
    # A line for every form that is wrong would let strangers fill the log; the request's own line says it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Observed:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        begin, status = time.monotonic(), 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = name
                for header, value in _HEADERS.items():
                    headers.setdefault(header, value)
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        except Exception:
            log.exception("a fault of ours", extra={"fields": {"request_id": name}})
            scope["state"]["kind"] = "fault"
            if not status:
                await _problem(500, "fault", "a fault of this service; its log says more", name)(
                    scope, receive, tagged
                )
        finally:
            _account(scope, name, status, time.monotonic() - begin)


def _account(scope: Scope, name: str, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "none")
    kind = scope["state"].get("kind")
    # A status of 0: the client was gone before there was an answer.
    scope["app"].state.service.metrics.answered(route, status, kind, seconds)
    told = {
        "request_id": name,
        "method": scope["method"][:16],
        "route": route,
        "status": status,
        "kind": kind,
        "seconds": round(seconds, 4),
        "plan": scope["state"].get("plan"),
    }
    fields = {key: value for key, value in told.items() if value is not None}
    log.info("request", extra={"fields": fields})


def _problem(status: int, kind: str, message: str, name: str) -> Response:
    return JSONResponse({"error": message, "kind": kind, "request_id": name}, status)


async def refused(request: Request, error: Exception) -> Response:
    """The answer to a request that is refused."""
    assert isinstance(error, RefusedError)
    request.state.kind = error.kind
    answer = _problem(error.status, error.kind, str(error), request.state.request_id)
    answer.headers.update(error.headers)
    if error.status != 408:
        await linger(request)
    return answer
