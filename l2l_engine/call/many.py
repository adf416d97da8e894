"""Several files in work at once, results in the order they were asked for."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from l2l_engine.errors import L2LError
from l2l_engine.media import MediaFile
from l2l_engine.result import Prediction

AHEAD = 2
"""Files begun or waiting, as a multiple of the workers: enough that none of them idles."""


def in_order(
    predict: Callable[[MediaFile, threading.Event], Prediction],
    files: Iterable[MediaFile],
    *,
    workers: int,
    keep_errors: bool,
) -> Generator[Prediction | L2LError, None, None]:
    """Yield ``predict(file, abandoned)`` for each file, in order; ``files`` is read as results are taken.

    Args:
        predict: Classifies one file, and stops once ``abandoned`` is set; called in a worker's thread.
        files: May be endless.
        workers: Threads.
        keep_errors: Yield an L2LError in its file's place instead of raising it.
    """
    waiting = iter(files)
    running: deque[Future[Prediction]] = deque()
    abandoned = threading.Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="l2l-predict")
    try:
        while True:
            for file in itertools.islice(waiting, AHEAD * workers - len(running)):
                running.append(pool.submit(predict, file, abandoned))
            if not running:
                return
            try:
                yield running.popleft().result()
            except L2LError as error:
                if not keep_errors:
                    raise
                yield error
    finally:
        # A caller who stops early must not wait for files nobody asks about any more.
        abandoned.set()
        pool.shutdown(wait=True, cancel_futures=True)
