"""An opened file, once for each thread that reads it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from l2l_engine.media import MediaSource, Poll

_T = TypeVar("_T")


class Readers:
    """Hands each thread a reader of its own, opening another one where all are in use.

    Args:
        source: The first reader; it is closed with the others.
    """

    def __init__(self, source: MediaSource) -> None:
        self._first = source
        self._all = [source]
        self._idle = [source]
        self._lock = threading.Lock()

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the decoders of all readers."""
        return sum(source.frames_decoded for source in self._all)

    @property
    def bytes_read(self) -> int:
        """Bytes read of the file by all readers."""
        return self._first.bytes_read

    def use(self, work: Callable[[MediaSource], _T], poll: Poll) -> _T:
        """Do something with a reader that nobody else uses meanwhile."""
        with self._lock:
            source = self._idle.pop() if self._idle else None
        if source is None:
            source = self._first.another(poll=poll)
            assert source is not None, "chunks of a file with one position are decoded one after the other"
            with self._lock:
                self._all.append(source)
        try:
            return work(source)
        finally:
            with self._lock:
                self._idle.append(source)

    def close(self) -> None:
        """Close all readers; none may be in use any more."""
        for source in self._all:
            source.close()
