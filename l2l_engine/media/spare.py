"""A file opened once more beside the first time, so that a second reader need not be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from l2l_engine.errors import L2LError
from l2l_engine.media.demux import Demuxer, open_demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.opening import Reader
from l2l_engine.media.source import Poll

Beside = Callable[[Callable[[], None]], None]
"""Takes work that may be done in another thread, at once or never."""


class Spare:
    """A second demuxer of a file, opened by one thread while another opens the first.

    Args:
        reader: A reader of the same content, which nobody else uses.
        name: What messages call the file.
        limits: What the file may cost.
        poll: Called between reads; what it raises stops the work.
    """

    def __init__(self, reader: Reader, name: str, limits: Limits, poll: Poll | None) -> None:
        self._reader, self._name, self._limits, self._poll = reader, name, limits, poll
        self._lock = threading.Lock()
        self._begun = self._over = False
        self._demuxer: Demuxer | None = None

    def open(self) -> None:
        """Do it, at most once. A file that cannot be opened is no error here: the first opening says so."""
        with self._lock:
            begun, self._begun = self._begun, True
        if begun:
            return
        try:
            demuxer = open_demuxer(self._reader, self._name, self._limits, self._poll)
        except L2LError:
            return
        with self._lock:
            if not self._over:
                self._demuxer = demuxer
                return
        demuxer.close()

    def take(self) -> Demuxer | None:
        """The demuxer, once; None before it is open and after it was taken."""
        with self._lock:
            demuxer, self._demuxer = self._demuxer, None
        return demuxer

    def close(self) -> None:
        """Release it if nobody took it; safe to call twice."""
        with self._lock:
            begun, self._begun = self._begun, True
            self._over = True
        if (demuxer := self.take()) is not None:
            demuxer.close()
        elif not begun:
            self._reader.close()
