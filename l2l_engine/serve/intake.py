"""Bodies of requests, on their way to disk: bounded in bytes and in seconds, whatever they claim."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from l2l_engine.report.words import visible
from l2l_engine.serve.problems import RefusedError, bad_request, too_large

MOST_JSON = 64 * 1024
"""Bytes of a JSON object that names a file and options."""
_MOST_FIELD = 4096
_MOST_FIELDS = 32
_OVERHEAD = 64 * 1024
"""Bytes of a form around the file in it."""
_TO_DISK = 1024 * 1024
_LINGER_BYTES, _LINGER_S = 64 * 2**20, 5.0


class Body:
    """The body of one request, piece by piece.

    Args:
        request: The request.
        most: Bytes taken at most.
        seconds: How long it may take to come.

    Raises:
        RefusedError: 413 where its headers already say that it is more; 415 where it is compressed.
    """

    def __init__(self, request: Request, most: int, seconds: float) -> None:
        self._request, self._most = request, most
        self._until = asyncio.get_running_loop().time() + seconds
        self._seconds = seconds
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RefusedError(415, "request", "compressed bodies are not taken")
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large(most)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its pieces.

        Raises:
            RefusedError: 413 for too much, 408 for too slow, 400 where the client went away.
        """
        taken = 0
        stream = self._request.stream()
        loop = asyncio.get_running_loop()
        try:
            while True:
                piece = await asyncio.wait_for(anext(stream, None), max(0.0, self._until - loop.time()))
                if piece is None:
                    return
                taken += len(piece)
                if taken > self._most:
                    raise too_large(self._most)
                yield piece
        except asyncio.TimeoutError:
            message = f"the request did not come in {self._seconds:g} s"
            raise RefusedError(408, "slow", message, {"Connection": "close"}) from None
        except ClientDisconnect:
            raise RefusedError(400, "aborted", "the client went away") from None

    async def all(self) -> bytes:
        """All of it, in memory."""
        return b"".join([piece async for piece in self])


async def linger(request: Request) -> None:
    """Read on for a little and drop it: a client that is still sending would not see its answer otherwise."""

    async def drop() -> None:
        dropped = 0
        async for piece in request.stream():
            dropped += len(piece)
            if dropped > _LINGER_BYTES:
                return

    try:
        await asyncio.wait_for(drop(), _LINGER_S)
    except (asyncio.TimeoutError, ClientDisconnect, RuntimeError):
        return


async def read_json(body: Body) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        RefusedError: It is none.
    """
    return json_object(await body.all())


def json_object(text: bytes) -> dict[str, Any]:
    """The JSON object that ``text`` is.

    Raises:
        RefusedError: It is none.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is no JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise bad_request("the body must be a JSON object")
    return content


@dataclass(slots=True)
class Form:
    """What came in a form.

    Attributes:
        filename: What the client calls the file.
        fields: Everything else.
    """

    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _FormReader:
    """Takes a form apart as it comes: the file goes to disk, fields are kept."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.form = Form()
        self.files = 0
        self.ended = False
        self._file, self._most, self._written = file, most, 0
        self._pieces: list[bytes] = []
        self._held = 0
        self._header, self._value = b"", b""
        self._name: str | None = None
        self._is_file = False
        self._text = b""

    @property
    def callbacks(self) -> dict[str, Callable[..., None]]:
        """What python_multipart calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._header_ended,
            "on_headers_finished": self._headers_ended,
            "on_part_data": self._data,
            "on_part_end": self._part_ended,
            "on_end": self._ended,
        }

    def _begin(self) -> None:
        self._name, self._is_file, self._text = None, False, b""

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, words = parse_options_header(self._value)
            self._name = words.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in words:
                self._is_file = True
                self.form.filename = client_name(words[b"filename"].decode("utf-8", "replace"))
        self._header, self._value = b"", b""

    def _headers_ended(self) -> None:
        if self._is_file:
            self.files += 1
            if self.files > 1 or self._name != "video":
                raise bad_request("a form holds one file, in the field 'video'")
        elif not self._name or len(self._name) > 64 or len(self.form.fields) >= _MOST_FIELDS:
            raise bad_request(f"a part of a form needs a name; {_MOST_FIELDS} fields are taken at most")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._held += end - start
            self._written += end - start
            if self._written > self._most:
                raise too_large(self._most)
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MOST_FIELD:
            raise bad_request(f"field {self._name!r} is longer than {_MOST_FIELD} bytes")

    def _part_ended(self) -> None:
        if not self._is_file and self._name:
            self.form.fields[self._name] = self._text.decode("utf-8", "replace")

    def _ended(self) -> None:
        self.ended = True

    async def to_disk(self, least: int) -> None:
        """Write what came, if that is at least so much."""
        if self._held >= least:
            pieces, self._pieces, self._held = self._pieces, [], 0
            await run_in_threadpool(self._file.writelines, pieces)


async def read_form(request: Request, target: Path, most: int, seconds: float) -> Form:
    """Read a form whose file, in the field "video", goes to ``target``.

    Args:
        request: Says where the parts of its body begin.
        target: A path that is free.
        most: Largest file, in bytes.
        seconds: How long it may take to come.

    Raises:
        RefusedError: It is no such form, too large, or too slow.
    """
    _, words = parse_options_header(request.headers.get("content-type"))
    boundary = words.get(b"boundary", b"")
    body = Body(request, most + _OVERHEAD, seconds)
    with target.open("xb") as file:
        reader = _FormReader(file, most)
        try:
            parser = MultipartParser(boundary, reader.callbacks)  # type: ignore[arg-type]  # its keys are literals
            async for piece in body:
                parser.write(piece)
                await reader.to_disk(_TO_DISK)
        except FormParserError as error:
            raise bad_request(f"the form cannot be read: {error}") from None
        await reader.to_disk(1)
    if not reader.ended:
        raise bad_request("the form ends before its last boundary")
    if not reader.files:
        raise bad_request("send a file in the form field 'video'")
    return reader.form


def client_name(name: str) -> str:
    """A file's name as the client says it, fit to be shown: no folders, no control characters, not long."""
    return visible(name.replace("\\", "/").rpartition("/")[2])[:200] or "video"
