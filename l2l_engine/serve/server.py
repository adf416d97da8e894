"""uvicorn around the application: slow headers are ended, and what was let in is answered before the end."""

from __future__ import annotations

import asyncio
import logging
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from l2l_engine.serve.app import create_app
from l2l_engine.serve.models import open_models
from l2l_engine.serve.observing import log_to_stderr
from l2l_engine.serve.settings import Settings

_HEADER_S = 10.0
"""Seconds that the headers of a request may take to come."""
_HEADER_BYTES = 32 * 1024
_CONNECTIONS = 512

log = logging.getLogger("l2l_engine.serve")


class PunctualProtocol(H11Protocol):
    """HTTP/1.1 for clients that say what they want within some seconds of beginning to."""

    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._under_way():
            self._stop()
        elif self._alarm is None:
            self._alarm = self.loop.call_later(_HEADER_S, self._late)

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        self._alarm = None
        if not self.transport.is_closing() and not self._under_way():
            self.transport.close()

    def _under_way(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None at first, whatever its declaration says
        return cycle is not None and not cycle.response_complete


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        log.info("draining", extra={"fields": {"signal": sig}})
        service = getattr(self.config.app.state, "service", None)  # type: ignore[union-attr]
        if service is not None:
            service.queue.draining = True
        super().handle_exit(sig, frame)


def make_server(settings: Settings, *, host: str, port: int, **app: Any) -> uvicorn.Server:
    """A server of the service that has not begun.

    Args:
        settings: What it serves.
        host, port: Where it listens; port 0 takes a free one.
        **app: Goes to :func:`create_app`.
    """
    config = uvicorn.Config(
        create_app(settings, **app),
        host=host,
        port=port,
        http=PunctualProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=int(settings.upload_s + settings.timeout_s) + 5,
    )
    return _Server(config)


def serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 8000) -> bool:
    """Serve until SIGTERM or SIGINT; requests that were let in are answered first.

    Args:
        settings: What is served.
        host, port: Where to listen.

    Returns:
        Whether it started.

    Raises:
        PlanError, DeviceError: A plan cannot be used.
    """
    log_to_stderr()
    # Before there is a server, so that a plan that cannot be used is an error of the caller's.
    with open_models(settings) as models:
        server = make_server(settings, host=host, port=port, models=models)
        server.run()
    return bool(server.started)
