"""CUDA graphs of what is queued again and again, made where other threads do not meet the capture."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from l2l_engine.errors import DeviceError, DeviceLostError, DeviceMemoryError
from l2l_engine.gpu.device import Device

TRIES = 3
"""Captures in a row that may fail before there are no more."""

_log = logging.getLogger("l2l_engine")


class Graphs:
    """Makes the graphs of one stream's work. For one thread at a time.

    A capture may fail because of what the work is, always, or because of what another library of the process
    does meanwhile, such as to wait for the whole device. So it is tried again the next time the work comes,
    and given up after some failures in a row.

    Args:
        device: Where the graphs run.
        whose: What the log says runs without graphs, e.g. "the skimmer".
    """

    def __init__(self, device: Device, whose: str) -> None:
        self._device, self._whose, self._left = device, whose, TRIES

    @property
    def on(self) -> bool:
        """Whether a capture is worth another try."""
        return self._left > 0

    def capture(self, work: Callable[[int], None]) -> int | None:
        """A graph of what ``work`` queues on the stream it is called with, which is not done now.

        Returns:
            The graph, for whoever asked to end; None if the work has to be queued as it is.

        Raises:
            DeviceLostError: The device is lost.
        """
        if not self.on:
            return None
        try:
            with uncollected():
                graph = self._device.capture(work)
        except DeviceMemoryError:
            return None  # there may be enough the next time
        except DeviceLostError:
            raise
        except DeviceError as error:
            self._device.require()
            self._left -= 1
            if not self.on:
                _log.info("%s runs without CUDA graphs: %s", self._whose, error)
            return None
        self._left = TRIES
        return graph


class _Collector:
    """Python's garbage collector, which some threads keep from running by itself for a while."""

    def __init__(self) -> None:
        # What the collector ends may come here too, in a thread that is about to stop it.
        self._lock = threading.RLock()
        self._users, self._was_on = 0, False

    @contextmanager
    def stopped(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._was_on = gc.isenabled()
                gc.disable()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._go_on()

    def in_child(self) -> None:
        """The threads that stopped it are not in a forked child."""
        self._lock = threading.RLock()
        if self._users:
            self._users = 0
            self._go_on()

    def _go_on(self) -> None:
        if not self._users and self._was_on:
            gc.enable()


_collector = _Collector()
os.register_at_fork(after_in_child=_collector.in_child)


def uncollected() -> AbstractContextManager[None]:
    """Keep the garbage collector from running by itself meanwhile.

    It runs in whichever thread allocates, and what it ends there, streams and memory of anyone's, breaks a
    capture of that thread.
    """
    return _collector.stopped()
