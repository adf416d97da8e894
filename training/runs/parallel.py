"""Decoding in other processes, in order, never far ahead of who uses the results.

A file that crashes its decoder, or keeps it for ever, costs no more than that file: its process is replaced.

This is no library's pool because none holds that promise. ``concurrent.futures`` breaks with its first dead
process, and cannot say with which status it died. Pebble knows which job a process was at only once the
process has said so: one that dies before, as it unpickles a job, is waited for without end where others work,
and breaks the pool where none does; so does one that is killed while it has nothing to do.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar, cast

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

LONGEST = 1800.0
"""Seconds that a job may take by default: hours of video take minutes."""


class Lost(str):
    """Why a job has no result although nothing was raised: its process died, or took too long."""

    __slots__ = ()


def parallel_map(
    function: Callable[[_Job], _Result], jobs: Iterable[_Job], workers: int, longest: float = LONGEST
) -> Iterator[_Result | Lost]:
    """Map jobs in other processes. At most ``4 * workers`` results wait: a decoded video takes megabytes.

    Args:
        function: Stands at the top of a module, since processes import it. What it raises is raised here.
        jobs: Its arguments.
        workers: Processes; 0 to work in this one, which a bad file may then take with it.
        longest: Seconds after which a job is given up.

    Yields:
        The results in order; for a job that was lost, why.

    Raises:
        RuntimeError: If a process does not even start.
    """
    if workers == 0:
        yield from map(function, jobs)
        return
    crew = [_Worker(function, longest) for _ in range(workers)]
    left = iter(jobs)
    given = 0
    done: dict[int, _Result | Lost] = {}
    turn = 0
    try:
        while True:
            for worker in crew:
                if worker.number is None and given < turn + 4 * workers:
                    for job in islice(left, 1):
                        worker.give(given, job)
                        given += 1
            if turn in done:
                yield done.pop(turn)
                turn += 1
                continue
            busy = {worker.connection: worker for worker in crew if worker.number is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                number, result = busy[cast("Connection[Any, Any]", connection)].take()
                done[number] = result
    finally:
        for worker in crew:
            worker.stop()


class _Worker(Generic[_Job, _Result]):
    """One process, and the job that it is at."""

    def __init__(self, function: Callable[[_Job], _Result], longest: float) -> None:
        self._function, self._longest = function, longest
        self.number: int | None = None
        self._start()

    def _start(self) -> None:
        # Spawned, not forked: PyTorch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._function, self._longest), daemon=True
        )
        self._process.start()
        theirs.close()
        self._ready = False

    def give(self, number: int, job: _Job) -> None:
        """Begin a job."""
        self._await()
        try:
            self.connection.send(job)
        except OSError:  # it was killed while it had nothing to do
            self._replace()
            self._await()
            self.connection.send(job)
        self.number = number

    def _await(self) -> None:
        """Wait until the process has begun."""
        if self._ready:
            return
        try:
            self.connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"a decoding process ended as it began, with status {self._process.exitcode}"
            ) from None
        self._ready = True

    def take(self) -> tuple[int, _Result | Lost]:
        """Return the number and the result of the job that has ended."""
        number, self.number = cast(int, self.number), None
        try:
            raised, value = self.connection.recv()
        except (EOFError, OSError):
            return number, self._replace()
        if raised:
            raise value
        return number, value

    def _replace(self) -> Lost:
        self._process.join()
        status = self._process.exitcode or 0
        self.stop()
        self._start()
        if status == -signal.SIGALRM:
            return Lost(f"given up after {self._longest:g} s")
        return Lost(
            f"the process that decoded it died ({signal.Signals(-status).name if status < 0 else status})"
        )

    def stop(self) -> None:
        """End the process, whatever it is at."""
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection[Any, Any], function: Callable[[_Job], _Result], longest: float) -> None:
    """Do jobs until there are no more."""
    connection.send("ready")
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        # An alarm's default is to end the process, which no decoder can keep from happening.
        signal.setitimer(signal.ITIMER_REAL, longest)
        try:
            answer: tuple[bool, Any] = False, function(job)
        except Exception as error:
            answer = True, error
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(answer)
