"""Files in other processes: one that kills its decoder, hangs or eats memory costs itself alone."""

from __future__ import annotations

import multiprocessing
import os
import queue
import resource
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, wait
from concurrent.futures import TimeoutError as PoolTimeout
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Literal

from l2l_engine import arguments
from l2l_engine.call.many import as_typed, in_order
from l2l_engine.classifier import Classifier
from l2l_engine.errors import CrashedError, L2LError, PlanError, PredictionTimeoutError
from l2l_engine.loading import thread_budget
from l2l_engine.media import MediaFile, display_name
from l2l_engine.plan import read_plan
from l2l_engine.result import Prediction
from l2l_engine.run.watch import Progress

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from l2l_engine.call import AskOptions

GRACE_S = 5.0
"""Seconds beyond ``timeout_s`` that a process has to stop by itself before it is ended."""
_TICK_S = 0.5
"""Seconds between two looks at whether anybody still waits."""
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
        tries = arguments.positive("tries", tries)
        begin = make, os.fspath(plan), {**options, "threads": 1}, memory_bytes
        self._slots = [_Slot(begin, tries, pebble) for _ in range(thread_budget(workers))]
        self._idle: queue.Queue[_Slot] = queue.Queue()
        for slot in self._slots:
            self._idle.put(slot)

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

        def predict(file: MediaFile, told: Progress, abandoned: threading.Event) -> Prediction:
            slot = self._idle.get()
            try:
                return slot.predict(file, options, abandoned)
            finally:
                self._idle.put(slot)

        busy = min(workers or len(self._slots), len(self._slots))
        return in_order(predict, paths, workers=busy, keep_errors=on_error == "yield")

    def close(self) -> None:
        """End the processes; what they are at is given up. Safe to call twice."""
        for slot in self._slots:
            slot.close()

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Slot:
    """One process, replaced where it ends, with one file at a time: what happens to it is that file's doing.

    Args:
        begin: What :func:`_begin` is told.
        tries: How often a file is begun.
        pebble: The library.
    """

    def __init__(self, begin: tuple[Any, ...], tries: int, pebble: Any) -> None:
        self._begin, self._tries, self._pebble = begin, tries, pebble
        self._pool: Any = None

    def predict(self, path: MediaFile, options: AskOptions, abandoned: threading.Event) -> Prediction:
        """The answer of the process.

        Raises:
            L2LError: The file's error, or what became of its process.
        """
        name, limit, cause = display_name(path), options.get("timeout_s"), ""
        for _ in range(self._tries):
            try:
                outcome = self._wait(self._schedule(path, options, limit), abandoned)
            except PoolTimeout:
                words = f"{name}: not done after {limit} s, and its process did not stop"
                raise PredictionTimeoutError(words) from None
            except self._pebble.ProcessExpired as error:
                cause = _cause(error.exitcode)
            except BrokenProcessPool:  # it ended before it could say which file it had begun
                cause = "at once"
            else:
                if isinstance(outcome, L2LError):
                    raise outcome
                return outcome
            self.close()  # with all that a killed process may have left locked
        raise CrashedError(f"{name}: the process that read it ended {self._tries} times: {cause}")

    def _schedule(self, path: MediaFile, options: AskOptions, limit: float | None) -> Any:
        if self._pool is None:
            # A fork would copy locks that threads of this process hold.
            context = multiprocessing.get_context("spawn")
            self._pool = self._pebble.ProcessPool(
                1, initializer=_begin, initargs=self._begin, context=context
            )
        return self._pool.schedule(
            _predict, args=(path, options), timeout=None if limit is None else limit + GRACE_S
        )

    @staticmethod
    def _wait(future: Any, abandoned: threading.Event) -> Prediction | L2LError:
        while not wait([future], _TICK_S).done:
            if abandoned.is_set():
                future.cancel()
                raise CancelledError
        found: Prediction | L2LError = future.result()
        return found

    def close(self) -> None:
        """End the process; another is made for the next file."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()


def _cause(code: int | None) -> str:
    if code == NO_MEMORY:
        return "it came to the end of the memory it may have"
    return f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"


_here: dict[str, Any] = {}
"""Of a process that works for another: its Classifier, or why there is none."""


def _end_with_parent() -> None:
    """Have this process end with the one it works for, also where that is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def watch() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, name="l2l-parent", daemon=True).start()


def _begin(make: Make | None, plan: str, options: dict[str, Any], memory_bytes: int | None) -> None:
    _end_with_parent()
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
