"""Decoding in other processes, in order, never far ahead of who uses the results."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.pool import AsyncResult
from typing import TypeVar

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def parallel_map(
    function: Callable[[_Job], _Result], jobs: Iterable[_Job], workers: int
) -> Iterator[_Result]:
    """``map`` over processes. At most ``4 * workers`` results wait: a decoded video takes megabytes."""
    # Spawned, not forked: PyTorch's threads do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        left = iter(jobs)
        running: deque[AsyncResult[_Result]] = deque(
            pool.apply_async(function, (job,)) for job in islice(left, 4 * workers)
        )
        while running:
            result = running.popleft().get()
            running.extend(pool.apply_async(function, (job,)) for job in islice(left, 1))
            yield result
