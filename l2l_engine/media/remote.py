"""Files where they lie: objects behind a URL, read by ranges through fsspec, blocks shared by readers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import tempfile
import threading
import weakref
from collections import OrderedDict
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
from l2l_engine.media.contents import moved
from l2l_engine.media.source import Poll

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
BLOCK = 32 * 1024
"""Bytes of a block: about a key frame of 360p, so that going to one reads little else."""
_MOST_BLOCKS = 64
"""Blocks that one request asks for at most: two megabytes."""
_KEPT_BLOCKS = 512
"""Blocks of one object that are kept in memory: 16 megabytes, enough for the index of a file of hours."""
_SPILLED_BYTES = 2**30
"""Bytes of one object that may be put aside on disk, so that readers far apart do not fetch them twice."""
_WHOLE_BLOCKS = 32
"""Blocks of an object that is read with one request: that takes less time than another one would."""
_TICK_S = 0.02
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
        while not wait([future], _TICK_S).done:
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


class RemoteObject:
    """The bytes of one object, in blocks that its readers share; for any number of threads.

    Args:
        store: Gives ranges of it.
        poll: Called while what is known of it is asked for; what it raises ends that.

    Raises:
        MediaError: It is not there, not to be read, cannot be reached, or does not say how long it is.
    """

    def __init__(self, store: Store, poll: Poll | None) -> None:
        self._store = store
        info = store.info(poll)
        size = info.get("size")
        if info.get("type") == "directory":
            raise MediaAccessError(f"{store.name}: not a file")
        if not isinstance(size, int):
            raise MediaAccessError(f"{store.name}: its server does not say how long it is: download it first")
        self.size = size
        self._version = version_of(info)
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._pending: dict[int, threading.Event] = {}
        self._aside: dict[int, int] = {}
        self._disk: int | None = None
        self.bytes_read = 0
        self._requests = 0

    def read(self, at: int, size: int, ahead: int, poll: Poll | None) -> bytes:
        """Bytes from ``at`` on: at most ``size``, and no further than the block goes; none at the end.

        Args:
            at: Where, in bytes.
            size: How many at most.
            ahead: Blocks to fetch together, where the block is not here.
            poll: Called while it waits.
        """
        if not 0 <= at < self.size or size <= 0:
            return b""
        number, begin = divmod(at, BLOCK)
        return self._block(number, ahead, poll)[begin : begin + size]

    def _block(self, number: int, ahead: int, poll: Poll | None) -> bytes:
        while True:
            with self._lock:
                found = self._here(number)
                if found is not None:
                    return found
                fetching = self._pending.get(number)
                if fetching is None:
                    wanted, done = self._missing(number, ahead), threading.Event()
                    self._pending.update(dict.fromkeys(wanted, done))
                    break
            while not fetching.wait(_TICK_S):  # another reader asked for it before
                if poll is not None:
                    poll()
        try:
            return self._fetch(wanted, poll)
        finally:
            with self._lock:
                for block in wanted:
                    del self._pending[block]
            done.set()

    def _missing(self, number: int, ahead: int) -> range:
        """Blocks from ``number`` on that are neither here nor on their way; called with the lock held."""
        all_blocks = -(-self.size // BLOCK)
        ahead = all_blocks if all_blocks <= _WHOLE_BLOCKS else ahead
        end = number + 1
        known = (self._blocks, self._aside, self._pending)
        while end < min(number + ahead, all_blocks) and not any(end in some for some in known):
            end += 1
        return range(number, end)

    def _fetch(self, wanted: range, poll: Poll | None) -> bytes:
        begin, end = wanted.start * BLOCK, min(wanted.stop * BLOCK, self.size)
        data = self._store.fetch(begin, end, self.size, poll)
        with self._lock:
            self.bytes_read += len(data)
            self._requests += 1
            for block in wanted:
                at = (block - wanted.start) * BLOCK
                self._blocks[block] = data[at : at + BLOCK]
                self._blocks.move_to_end(block)
            while len(self._blocks) > _KEPT_BLOCKS:
                self._put_aside(*self._blocks.popitem(last=False))
        return data[:BLOCK]

    def _here(self, number: int) -> bytes | None:
        """A block that was fetched before and is still known; called with the lock held."""
        found = self._blocks.get(number)
        if found is not None:
            self._blocks.move_to_end(number)
        elif number in self._aside and self._disk is not None:
            found = os.pread(self._disk, self._aside[number], number * BLOCK)
        return found

    def _put_aside(self, number: int, data: bytes) -> None:
        """Keep a block on disk, in a file without a name; a full disk keeps none, and costs time."""
        if number in self._aside or len(self._aside) >= _SPILLED_BYTES // BLOCK:
            return
        with contextlib.suppress(OSError):
            if self._disk is None:
                self._disk, path = tempfile.mkstemp(prefix="l2l-")
                weakref.finalize(self, os.close, self._disk)
                os.unlink(path)  # noqa: PTH108 - a path of tempfile's
            if os.pwrite(self._disk, data, number * BLOCK) == len(data):
                self._aside[number] = len(data)

    def verify(self, poll: Poll | None) -> None:
        """Ask once more what it is, where it was read piece by piece.

        Raises:
            MediaError: It is another by now, so that the pieces may be of two.
        """
        if self._requests < 2:
            return
        now = self._store.info(poll)
        if (now.get("size"), version_of(now)) != (self.size, self._version):
            raise MediaError(f"{self._store.name}: it was replaced while it was read")


def version_of(info: dict[str, Any]) -> str | None:
    """What tells an object from the one that takes its place, as far as its file system says."""
    return next((f"{info[key]}" for key in _VERSIONS if info.get(key)), None)


class RemoteFile:
    """One reader of an object: a position in it, and how far it has read on without a jump."""

    def __init__(self, content: RemoteObject) -> None:
        self._object = content
        self._at = 0
        self._next, self._run = 0, 0

    def read(self, size: int, poll: Poll | None = None, /) -> bytes:
        """At most ``size`` bytes from the position on, fewer at the end of a block; none at the end."""
        number = self._at // BLOCK
        if number not in (self._next - 1, self._next):
            self._run = 0
        # Half as much ahead as was read in a row: who reads on needs few requests, who jumps wastes little.
        data = self._object.read(self._at, size, max(1, min(self._run // 2, _MOST_BLOCKS)), poll)
        self._run += number != self._next - 1
        self._next = number + 1
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, which may lie past the end."""
        self._at = moved(self._at, self._object.size, offset, whence)
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def again(self) -> RemoteFile:
        """Another reader, which shares the blocks."""
        return RemoteFile(self._object)

    @property
    def bytes_read(self) -> int:
        """Bytes that came over the network, for all readers."""
        return self._object.bytes_read

    def verify(self, poll: Poll | None) -> None:
        """See :meth:`RemoteObject.verify`."""
        self._object.verify(poll)

    def close(self) -> None:
        """Nothing is held open."""


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


def open_url(url: str, allowed: tuple[str, ...], poll: Poll | None) -> RemoteFile:
    """Open what a URL names.

    Args:
        url: The URL.
        allowed: Protocols that may be used.
        poll: Called while the server is asked; what it raises ends that.

    Raises:
        MediaAccessError: Its protocol is not allowed, or needs a package; or it may not be read.
        MediaError: As :class:`RemoteObject`.
    """
    if protocol_of(url) not in allowed:
        names = ", ".join(allowed) or "none: local files alone"
        raise MediaAccessError(f"{url}: its protocol is not allowed; allowed are {names}")
    return RemoteFile(RemoteObject(Store(url, *find(url)), poll))


def reopened(file: object, name: str, poll: Poll | None) -> RemoteFile | None:
    """The object that a file object of fsspec's reads, to be read by ranges here; None of any other."""
    system, path = getattr(file, "fs", None), getattr(file, "path", None)
    if not isinstance(path, str) or not hasattr(system, "cat_file") or getattr(file, "mode", None) != "rb":
        return None
    return RemoteFile(RemoteObject(Store(name, system, path), poll))
