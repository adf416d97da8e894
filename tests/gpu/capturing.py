"""CUDA's rules of stream capture, as strictly as its documentation can be read. No device is needed for them.

Sources: the CUDA programming guide, "Creating a graph using stream capture" (cross-stream dependencies and
events; prohibited and unhandled operations; invalidation), and cuda.h: CUresult, ``cuStreamBeginCapture``,
``cuStreamEndCapture`` and ``cuThreadExchangeStreamCaptureMode``. In our own words:

* What is queued on a capturing stream, by whichever thread, becomes part of the graph instead of being
  done.
* An event recorded there is a *captured* one. A stream outside that waits for it joins the capture, and has
  to be joined back to the origin, by an event that the origin waits for, before the capture ends: else
  UNJOINED.
* A captured event stands for nothing that is ever done: nobody may wait for it on the host, or for one of a
  capture that is over, until it is recorded anew: CAPTURED_EVENT.
* A capturing stream may not wait for what was queued outside, nor for an event that was never recorded:
  ISOLATION; nor for an event of another capture: MERGE.
* Calls that no stream orders (cuda.h names allocation) are prohibited in a thread with a capture of its own
  that is not RELAXED, and in every thread while any capture is GLOBAL: UNSUPPORTED.
* To wait for the whole context is prohibited for everyone while anything in it is captured: UNSUPPORTED.
* A capture ends on the stream it began on, else UNMATCHED, and in its thread unless it is RELAXED:
  WRONG_THREAD.
* A call that breaks a rule fails and invalidates every capture that it touches. What belongs to one of
  these is refused, INVALIDATED, until the capture is ended, which fails too and gives no graph.

Where the documentation leaves a choice, this model refuses: a stream that joined must be joined back though
nothing was queued on it; making and ending streams, waiting on the host for any event and ending a graph
count as calls that no stream orders; and the numbers are those whose description in cuda.h fits best. There
is no legacy default stream: all streams here are non-blocking, which it may be used beside.
``capturing_on_host.h`` says the same once more, in C; a test compares the two.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from l2l_engine.errors import DeviceError

ILLEGAL_STATE, UNSUPPORTED, INVALIDATED, MERGE, UNMATCHED, UNJOINED = 401, 900, 901, 902, 903, 904
ISOLATION, CAPTURED_EVENT, WRONG_THREAD = 905, 907, 908
GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2


class RefusedError(DeviceError):
    """A call against the rules of capture; ``status`` is the driver's number."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused by the rules of stream capture ({status})")
        self.status = status


@dataclass(eq=False)
class _Capture:
    origin: int
    mode: int
    thread: int
    heads: dict[int, int]
    """The last node of each stream that belongs to it."""
    before: list[set[int]] = field(default_factory=lambda: [{0}])
    """Of each node: those that it comes after, and itself."""
    items: list[Any] = field(default_factory=list)
    valid: bool = True
    over: bool = False

    def add(self, stream: int, *after: int) -> None:
        made = len(self.before)
        self.before.append({made}.union(*(self.before[node] for node in after)))
        self.heads[stream] = made


class Captures:
    """Which streams are captured, and what of it may be done. For one thread at a time."""

    def __init__(self) -> None:
        self._captures: list[_Capture] = []
        self._events: dict[int, tuple[_Capture, int]] = {}

    def begin(self, stream: int, mode: int = THREAD_LOCAL) -> None:
        if not stream:
            raise RefusedError(UNSUPPORTED)
        if (found := self._of(stream)) is not None:
            self._refuse(ILLEGAL_STATE, found)
        self._captures.append(_Capture(stream, mode, threading.get_ident(), {stream: 0}))

    def end(self, stream: int) -> list[Any]:
        """What was queued on its streams, in order."""
        found = self._of(stream)
        if found is None:
            raise RefusedError(ILLEGAL_STATE)
        if found.mode != RELAXED and found.thread != threading.get_ident():
            self._refuse(WRONG_THREAD, found)
        if found.origin != stream:
            self._refuse(UNMATCHED, found)
        found.over = True
        self._captures.remove(found)
        if not found.valid:
            raise RefusedError(INVALIDATED)
        if not found.before[found.heads[stream]].issuperset(found.heads.values()):
            raise RefusedError(UNJOINED)
        return found.items

    def add(self, stream: int, item: Any) -> bool:
        """Something is queued on a stream: whether it became part of a graph."""
        found = self._active(stream)
        if found is None:
            return False
        found.items.append(item)
        found.add(stream, found.heads[stream])
        return True

    def record(self, event: int, stream: int) -> bool:
        """Whether the event is a captured one from now on."""
        found = self._active(stream)
        if found is None:
            self._events.pop(event, None)
            return False
        self._events[event] = found, found.heads[stream]
        return True

    def wait(self, stream: int, event: int) -> bool:
        """Whether the stream's waiting became part of a graph."""
        ours = self._active(stream)
        theirs, node = self._events.get(event, (None, 0))
        if theirs is None:
            if ours is None:
                return False
            self._refuse(ISOLATION, ours)
        if theirs.over:
            self._refuse(CAPTURED_EVENT, ours)
        if not theirs.valid:
            self._refuse(INVALIDATED, ours)
        if ours not in (None, theirs):
            self._refuse(MERGE, ours, theirs)
        theirs.add(stream, theirs.heads.get(stream, node), node)
        return True

    def await_event(self, event: int) -> None:
        """A thread is about to wait for an event, or to ask whether it has passed."""
        theirs, _ = self._events.get(event, (None, 0))
        if theirs is not None:
            self._refuse(CAPTURED_EVENT, theirs)
        self.unordered()

    def unordered(self) -> None:
        """A call that no stream orders."""
        here = threading.get_ident()
        hit = [
            each
            for each in self._captures
            if each.mode == GLOBAL or (each.mode == THREAD_LOCAL and each.thread == here)
        ]
        if hit:
            self._refuse(UNSUPPORTED, *hit)

    def await_context(self) -> None:
        """A thread is about to wait for all streams."""
        if self._captures:
            self._refuse(UNSUPPORTED, *self._captures)

    def end_stream(self, stream: int) -> None:
        if (found := self._of(stream)) is not None:
            self._refuse(UNSUPPORTED, found)
        self.unordered()

    def end_event(self, event: int) -> None:
        self._events.pop(event, None)

    def _of(self, stream: int) -> _Capture | None:
        return next((each for each in self._captures if stream in each.heads), None)

    def _active(self, stream: int) -> _Capture | None:
        found = self._of(stream)
        if found is not None and not found.valid:
            raise RefusedError(INVALIDATED)
        return found

    def _refuse(self, status: int, *touched: _Capture | None) -> Any:
        for each in touched:
            if each is not None:
                each.valid = False
        raise RefusedError(status)
