"""An HTTP server with ranges on the loopback, which counts what it gave, and fails as it is told."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@functools.lru_cache
def etag(content: bytes) -> str:
    """What tells a content from others; once computed, Python remembers its own hash of it."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


Fault = Callable[["Handler", int], bool]
"""Told of each GET and its number, from 1 on; True if it has answered itself."""


class Served:
    """The objects of a server by path, its fault, and what it gave."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fault: Fault = lambda handler, number: False
        self.ranges = True
        self.gets = self.heads = self.bytes = 0
        self.over = threading.Event()
        self.url = ""

    def put(self, name: str, content: bytes) -> str:
        """Serve an object; its URL."""
        self.objects[f"/{name}"] = content
        return f"{self.url}/{name}"


class Handler(BaseHTTPRequestHandler):
    """GET with one range, and HEAD."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_HEAD(self) -> None:
        self.served.heads += 1
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self.served.gets += 1
        if not self.served.fault(self, self.served.gets):
            self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        content = self.served.objects.get(self.path)
        if content is None:
            return self.status(404)
        begin, end = self.wanted(len(content))
        ranged = "Range" in self.headers and self.served.ranges
        body = content[begin:end] if ranged else content
        self.send_response(206 if ranged else 200)
        self.send_header("ETag", etag(content))
        self.send_header("Content-Length", str(len(body)))
        if ranged:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        self.end_headers()
        if with_body:
            self.served.bytes += len(body)
            self.wfile.write(body)
        return None

    def wanted(self, size: int) -> tuple[int, int]:
        """The range asked for, as begin and end."""
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        begin, _, last = asked.partition("-")
        return int(begin or 0), min(size, int(last or size - 1) + 1)

    def status(self, code: int) -> None:
        """Answer with nothing but a status."""
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *words: object) -> None:
        """A client that leaves early is no news."""


@contextmanager
def serving() -> Iterator[Served]:
    """A server for the time of a block."""
    served = Served()
    handler = type("Bound", (Handler,), {"served": served})
    server = _Server(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
