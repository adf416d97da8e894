"""Several files in work at once, results in the order they were asked for."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from l2l_engine.errors import L2LError, UnexpectedError
from l2l_engine.media import MediaFile, display_name
from l2l_engine.result import Prediction
from l2l_engine.run.watch import Progress

_log = logging.getLogger("l2l_engine")

AHEAD = 2
"""Files begun or waiting, as a multiple of the workers: enough that none of them idles."""


def in_order(
    predict: Callable[[MediaFile, Progress, threading.Event], Prediction],
    files: Iterable[MediaFile],
    *,
    workers: int,
    keep_errors: bool,
    progress: Progress | None = None,
) -> Generator[Prediction | L2LError, None, None]:
    """Yield ``predict(file, progress, abandoned)`` for each file, in order; read as results are taken.

    Args:
        predict: Classifies one file, and stops once ``abandoned`` is set; called in a worker's thread.
        files: May be endless.
        workers: Threads.
        keep_errors: Yield an L2LError in its file's place instead of raising it.
        progress: As for ``predict``; called from the workers' threads. What it raises is raised here;
            whatever else goes wrong is one file's doing.
    """
    waiting = iter(files)
    running: deque[tuple[MediaFile, Future[Prediction]]] = deque()
    abandoned = threading.Event()
    from_outside: list[BaseException] = []

    def told(stage: str, done: float) -> None:
        if progress is not None:
            try:
                progress(stage, done)
            except BaseException as error:
                from_outside.append(error)
                raise

    pool = ThreadPoolExecutor(workers, thread_name_prefix="l2l-predict")
    try:
        while True:
            for file in itertools.islice(waiting, AHEAD * workers - len(running)):
                running.append((file, pool.submit(predict, file, told, abandoned)))
            if not running:
                return
            file, result = running.popleft()
            try:
                yield result.result()
            except Exception as error:
                if any(error is known for known in from_outside):
                    raise
                typed = as_typed(error, file)
                if not keep_errors:
                    raise typed from typed.__cause__
                yield typed
    finally:
        # A caller who stops early must not wait for files nobody asks about any more.
        abandoned.set()
        pool.shutdown(wait=True, cancel_futures=True)


def as_typed(error: Exception, file: MediaFile) -> L2LError:
    """An error raised on purpose as it is; any other as an UnexpectedError, with its traceback in the log."""
    if isinstance(error, L2LError):
        return error
    name, kind = display_name(file), type(error).__name__
    _log.error("%s: unexpected %s", name, kind, exc_info=error)
    typed = UnexpectedError(f"{name}: unexpected {kind}: {error}")
    typed.__cause__ = error
    return typed
