"""When a call is given up: ``timeout_s``, noticed between packets and batches."""

from __future__ import annotations

import time

from l2l_engine.errors import PredictionTimeoutError


class Deadline:
    """Raises once the time is up.

    Args:
        name: The file, for the message.
        timeout_s: Seconds from now, positive; None means never.
    """

    def __init__(self, name: str, timeout_s: float | None) -> None:
        self._name = name
        self._timeout = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    def poll(self) -> None:
        """Return quickly, or raise PredictionTimeoutError."""
        if self._end is not None and time.monotonic() >= self._end:
            raise PredictionTimeoutError(f"{self._name}: not done after {self._timeout} s")
