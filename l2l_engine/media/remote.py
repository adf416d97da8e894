"""Files where they lie: objects behind a URL, read by ranges, in blocks that their readers share."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
import weakref
from collections import OrderedDict

from l2l_engine.errors import MediaAccessError, MediaError
from l2l_engine.media.contents import moved
from l2l_engine.media.source import Poll
from l2l_engine.media.stores import TICK_S, Store, find, protocol_of, version_of

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
            while not fetching.wait(TICK_S):  # another reader asked for it before
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
