"""Objects behind URLs, as fsspec's file systems have them: facts, ranges of bytes, typed errors."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any

from l2l_engine.errors import (
    L2LError,
    MediaAccessError,
    MediaError,
    MediaNotFoundError,
    MediaUnreachableError,
)
from l2l_engine.media.source import Poll

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
TICK_S = 0.02
"""Seconds between two looks at whether anybody still waits for what is fetched."""
_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "md5",
    "Content-MD5",
    "LastModified",
    "Last-Modified",
    "last_modified",
    "mtime",
)
"""What file systems call that which changes when an object does, the surest first."""


def protocol_of(name: object) -> str | None:
    """The protocol of a URL, in lower case; None of anything else. A ``Path`` is never one."""
    found = _URL.match(name) if isinstance(name, str) else None
    return None if found is None else found[1].lower()


class Store:
    """One object of a file system of fsspec: what is known of it, and ranges of its bytes.

    Args:
        name: What messages call it.
        system: The file system.
        path: Its path there.
    """

    def __init__(self, name: str, system: Any, path: str) -> None:
        self.name, self._system, self._path = name, system, path
        self._ranged: Any = None

    def info(self, poll: Poll | None) -> dict[str, Any]:
        """What is known of it now.

        Raises:
            MediaError: It is not there, not to be read, or cannot be reached.
        """
        self._system.invalidate_cache(self._path)
        found: dict[str, Any] = self._call("info", poll, self._path)
        return found

    def fetch(self, begin: int, end: int, size: int, poll: Poll | None) -> bytes:
        """The bytes ``begin`` to ``end`` of an object of ``size`` bytes.

        Raises:
            MediaError: It is gone, not to be read, cannot be reached, or is shorter than it was.
        """
        if "http" in self._protocols:
            if self._ranged is None:
                # Its own reader of ranges: it does not take a whole file for an answer.
                self._ranged = self._system.open(self._path, size=size, cache_type="none")
            data: bytes = self._wait(lambda: self._ranged.async_fetch_range(begin, end), poll)
        else:
            data = self._call("cat_file", poll, self._path, start=begin, end=end)
        if len(data) != end - begin:
            there = f"{len(data)} of {end - begin} bytes from {begin} on"
            raise MediaUnreachableError(f"{self.name}: it was cut short while it was read: {there} came")
        return data

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = self._system.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def _call(self, verb: str, poll: Poll | None, *arguments: object, **named: object) -> Any:
        if self._system.async_impl:
            work = getattr(self._system, f"_{verb}")
            return self._wait(lambda: work(*arguments, **named), poll)
        plain = getattr(self._system, verb)
        return _until_done(self.name, _in_a_thread(lambda: plain(*arguments, **named)), poll)

    def _wait(self, work: Callable[[], Coroutine[Any, Any, Any]], poll: Poll | None) -> Any:
        return _until_done(self.name, asyncio.run_coroutine_threadsafe(work(), self._system.loop), poll)


def version_of(info: dict[str, Any]) -> str | None:
    """What tells an object from the one that takes its place, as far as its file system says."""
    return next((f"{info[key]}" for key in _VERSIONS if info.get(key)), None)


def _in_a_thread(work: Callable[[], Any]) -> Future[Any]:
    """Have it done in a thread that may be left behind: what blocks there cannot be stopped."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="l2l-fetch", daemon=True).start()
    return future


def _until_done(name: str, future: Future[Any], poll: Poll | None) -> Any:
    """The result of what another thread does; given up where ``poll`` raises."""
    try:
        while not wait([future], TICK_S).done:
            if poll is not None:
                poll()
        return future.result()
    except L2LError:
        raise
    except Exception as error:
        if not future.done():
            raise  # from ``poll``
        raise _typed(name, error) from error
    finally:
        future.cancel()


def _typed(name: str, error: Exception) -> MediaError:
    """What a file system's error means."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    status = next((found for one in chain if isinstance(found := getattr(one, "status", None), int)), None)
    words = str(chain[-1]) or type(chain[-1]).__name__
    if status in {401, 403} or (status is None and isinstance(error, PermissionError)):
        return MediaAccessError(f"{name}: cannot be read: {words}")
    if status in {404, 410} or (status is None and isinstance(error, FileNotFoundError) and len(chain) == 1):
        return MediaNotFoundError(f"{name}: no such file")
    if status is None and isinstance(error, FileNotFoundError) and "boto" in type(chain[-1]).__module__:
        return MediaNotFoundError(f"{name}: no such file")
    if isinstance(error, ValueError):
        return MediaAccessError(f"{name}: cannot be read: {words}")
    return MediaUnreachableError(f"{name}: cannot be reached: {type(chain[-1]).__name__}: {words}")


_systems: dict[tuple[str, str], Any] = {}
_systems_lock = threading.Lock()


def find(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there.

    One file system serves all threads. A URL names one object: nothing in it (as "::" is to fsspec) leads to
    another protocol.

    Raises:
        MediaAccessError: The protocol's package is not installed, or is no protocol at all.
    """
    protocol = protocol_of(url) or ""
    try:
        import fsspec  # noqa: PLC0415 - an extra
        from fsspec.config import conf  # noqa: PLC0415
    except ImportError as error:
        raise MediaAccessError(f"{url}: reading from there takes pip install 'l2l_engine[remote]'") from error
    try:
        kind = fsspec.get_filesystem_class(protocol)
        options = kind._get_kwargs_from_urls(url)
        key = protocol, repr((sorted(options.items()), conf.get(protocol)))
        with _systems_lock:
            if key not in _systems:
                _systems[key] = kind(**options)
            return _systems[key], kind._strip_protocol(url)
    except Exception as error:
        raise MediaAccessError(f"{url}: cannot be read: {error}") from error
