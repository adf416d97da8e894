"""Files in other processes: one that kills its decoder, hangs or eats memory costs itself alone."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import TimeoutError as PoolTimeout
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from l2l_engine import arguments
from l2l_engine.call.many import AHEAD, as_typed
from l2l_engine.classifier import Classifier
from l2l_engine.errors import CrashedError, L2LError, PlanError, PredictionTimeoutError
from l2l_engine.loading import thread_budget
from l2l_engine.media import MediaFile, display_name
from l2l_engine.plan import read_plan
from l2l_engine.result import Prediction

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from l2l_engine.call import AskOptions

GRACE_S = 5.0
"""Seconds beyond ``timeout_s`` that a process has to stop by itself before it is ended."""
NO_MEMORY = 77
"""Exit status of a process that came to the end of its memory."""

Make = Callable[[], Any]


class Isolated:
    """Stands in for a Classifier where files may be hostile to their decoders.

    Args:
        plan: Path of a plan file.
        workers: Processes, each of one thread; by default the processors this process may run on.
        tries: How often a file is begun whose process ended, before it is called crashed.
        memory_bytes: Most bytes of data that a process may have; None for no bound. A process that comes to
            its end counts as crashed.
        make: Makes the Classifier in a process; by default one of ``plan`` with ``options``.
        **options: Those of :class:`l2l_engine.Classifier`.

    Raises:
        PlanError: If the plan is missing, damaged, or does not add up.
    """

    def __init__(
        self,
        plan: str | os.PathLike[str],
        *,
        workers: int | None = None,
        tries: int = 2,
        memory_bytes: int | None = None,
        make: Make | None = None,
        **options: Any,
    ) -> None:
        try:
            import pebble  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise PlanError("isolation takes pip install 'l2l_engine[batch]'") from error
        read_plan(plan)
        self._tries = arguments.positive("tries", tries)
        self._workers = thread_budget(workers)
        self._expired: type[Exception] = pebble.ProcessExpired
        self._pool: Any = pebble.ProcessPool(
            self._workers,
            initializer=_begin,
            initargs=(make, os.fspath(plan), {**options, "threads": 1}, memory_bytes),
            # A fork would copy locks that threads of this process hold.
            context=multiprocessing.get_context("spawn"),
        )

    def predict_many(
        self,
        paths: Iterable[MediaFile],
        *,
        workers: int | None = None,
        on_error: Literal["raise", "yield"] = "raise",
        **options: Unpack[AskOptions],
    ) -> Generator[Prediction | L2LError, None, None]:
        """As :meth:`l2l_engine.Classifier.predict_many`, of files that can be sent to another process.

        ``workers`` can only ask for fewer than there are processes. Where ``timeout_s`` passes and nothing
        happens, the process is ended.
        """
        busy = min(workers or self._workers, self._workers)
        waiting, running = iter(paths), deque[tuple[MediaFile, Any]]()
        try:
            while True:
                for path in islice(waiting, AHEAD * busy - len(running)):
                    running.append((path, self._schedule(path, options)))
                if not running:
                    return
                path, future = running.popleft()
                outcome = self._outcome(path, future, options)
                if isinstance(outcome, L2LError) and on_error == "raise":
                    raise outcome
                yield outcome
        finally:
            for _, future in running:
                future.cancel()

    def _schedule(self, path: MediaFile, options: AskOptions) -> Any:
        limit = options.get("timeout_s")
        return self._pool.schedule(
            _predict, args=(path, options), timeout=None if limit is None else limit + GRACE_S
        )

    def _outcome(self, path: MediaFile, future: Any, options: AskOptions) -> Prediction | L2LError:
        name, ends = display_name(path), []
        while True:
            try:
                found: Prediction | L2LError = future.result()
                return found
            except PoolTimeout:
                limit = options.get("timeout_s")
                return PredictionTimeoutError(
                    f"{name}: not done after {limit} s, and its process did not stop"
                )
            except self._expired as error:
                ends.append(_cause(getattr(error, "exitcode", 0)))
            if len(ends) == self._tries:
                return CrashedError(f"{name}: the process that read it ended {len(ends)} times: {ends[-1]}")
            future = self._schedule(path, options)

    def close(self) -> None:
        """End the processes; what they are at is given up. Safe to call twice."""
        self._pool.stop()
        self._pool.join()

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _cause(code: int | None) -> str:
    if code == NO_MEMORY:
        return "it came to the end of the memory it may have"
    return f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"


_here: dict[str, Any] = {}
"""Of a process that works for another: its Classifier, or why there is none."""


def _begin(make: Make | None, plan: str, options: dict[str, Any], memory_bytes: int | None) -> None:
    try:
        _here["classifier"] = Classifier(plan, **options) if make is None else make()
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    except L2LError as error:
        _here["failed"] = error


def _predict(path: MediaFile, options: AskOptions) -> Prediction | L2LError:
    try:
        if "failed" in _here:
            return _here["failed"]  # type: ignore[no-any-return]
        return _here["classifier"].predict(path, **options)  # type: ignore[no-any-return]
    except L2LError as error:
        return error
    except MemoryError:
        os._exit(NO_MEMORY)  # whatever is short of memory here may hold half of what it should
    except Exception as error:
        return as_typed(error, path)
