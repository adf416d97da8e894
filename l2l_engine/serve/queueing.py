"""A bounded queue: so many predictions at once, so many waiting, and no more."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from l2l_engine.serve.problems import RefusedError

_T = TypeVar("_T")
_RECENT = 0.2
"""How much the newest prediction counts in the mean of how long one takes."""


class WorkQueue:
    """Work in threads, first come first served; for one event loop.

    Args:
        workers: How much is done at once.
        most_waiting: How much may wait besides.
    """

    def __init__(self, workers: int, most_waiting: int) -> None:
        self._workers, self._most_waiting = workers, most_waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="l2l-serve")
        self._free = asyncio.Semaphore(workers)
        self._seconds = 1.0
        self.waiting = 0
        self.in_work = 0
        self.draining = False

    def require_room(self) -> None:
        """Refuse what could not be done soon.

        Raises:
            RefusedError: 429 where the queue is full, 503 where the service is about to end.
        """
        if self.draining:
            raise RefusedError(503, "draining", "this service is shutting down", {"Retry-After": "5"})
        self._require_place()

    def _require_place(self) -> None:
        if self.in_work >= self._workers and self.waiting >= self._most_waiting:
            headers = {"Retry-After": str(self.retry_after())}
            raise RefusedError(429, "busy", "too many videos are waiting: try again later", headers)

    def retry_after(self) -> int:
        """Seconds until there is room, as recent predictions let one guess."""
        ahead = (self.waiting + self.in_work) / self._workers
        return max(1, min(600, math.ceil(ahead * self._seconds)))

    async def do(self, work: Callable[[], _T], until: float) -> _T:
        """Wait for a thread and have ``work`` done there, even if the service is to end.

        Args:
            work: What to do; it has to end by itself.
            until: When, on the clock of ``time.monotonic``, waiting is given up.

        Raises:
            RefusedError: 429 where the queue is full, 504 where it waited too long.
        """
        self._require_place()
        self.waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), max(0.0, until - time.monotonic()))
        except asyncio.TimeoutError:
            raise RefusedError(504, "timeout", "it waited too long for its turn") from None
        finally:
            self.waiting -= 1
        self.in_work += 1
        begin = time.monotonic()
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(lambda _: self._done(begin))
        return await asyncio.shield(future)

    def _done(self, begin: float) -> None:
        self._seconds += _RECENT * (time.monotonic() - begin - self._seconds)
        self.in_work -= 1
        self._free.release()

    def close(self) -> None:
        """Wait for what is in work."""
        self._pool.shutdown()
