"""The threads of one Classifier: whatever decodes or encodes runs in one of them, and there are no more."""

from __future__ import annotations

import atexit
import bisect
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from l2l_engine.errors import ClosedError

_T = TypeVar("_T")

TICK_S = 0.02
"""Seconds between two looks of a waiting caller at its progress; each takes the interpreter for a moment."""

DUE_TICK_S = 0.005
"""The same for a caller whose answer is due at a certain time."""

YIELD_S = 0.0005
"""Seconds for which tasks may keep the interpreter from the others."""

BRIEF_S = 0.0001
"""Seconds between two checks of a task that hardly leaves the interpreter to anybody."""

Task = Callable[[], None]


class Stopped(Exception):  # noqa: N818 - nobody did wrong; it never leaves this room
    """Nobody waits for this task any more."""


class Workers:
    """Threads that share out the tasks of all jobs: first of those that are due, then of the oldest.

    They start when there is work for them, wait while there is none, and end with :meth:`close` or with this
    object.

    Args:
        threads: How many, at least 1.
    """

    def __init__(self, threads: int) -> None:
        self._crew = _Crew(threads)
        # The threads know only the crew, so that forgetting a Classifier ends them.
        weakref.finalize(self, self._crew.end).atexit = False
        _crews.add(self._crew)

    @property
    def threads(self) -> int:
        """How many tasks run at once."""
        return self._crew.most

    def job(self, due: float = math.inf) -> Job:
        """A new job, a context manager.

        Args:
            due: When its caller must have an answer, by ``time.perf_counter``: it goes before jobs that are
                due later.

        Raises:
            ClosedError: After ``close``.
        """
        return Job(self._crew, due)

    def close(self) -> None:
        """End the threads once the jobs under way are done; waits for them if there is no job."""
        self._crew.end()
        self._crew.join()


class Job:
    """The tasks of one caller, who waits for them; for one thread at a time."""

    def __init__(self, crew: _Crew, due: float) -> None:
        self._crew = crew
        self.due = due
        self.queue: deque[Task] = deque()
        self.later: deque[Task] = deque()
        self.running = 0
        self.stopping = False
        self.failure: BaseException | None = None
        self.ended = threading.Condition(crew.lock)
        with crew.lock:
            if crew.ending:
                raise ClosedError("this Classifier is closed")
            bisect.insort(crew.jobs, self, key=lambda job: job.due)

    @property
    def threads(self) -> int:
        """How many tasks run at once."""
        return self._crew.most

    @property
    def idle(self) -> bool:
        """Whether no task waits, of any job, and another thread has none or will soon have none."""
        with self._crew.lock:
            return self._crew.most > 1 and not any(job.queue or job.later for job in self._crew.jobs)

    @property
    def has_room(self) -> bool:
        """Whether another thread has nothing to do now: no task waits, and not all threads run one."""
        with self._crew.lock:
            return self.idle and self._crew.running < self._crew.most

    def submit(self, task: Task, *, later: bool = False) -> None:
        """Have a task done, ``later`` once no others of this job wait. Tasks may submit tasks.

        What is short goes later: at the end it keeps the threads busy beside the last of what is long.
        """
        with self._crew.lock:
            if self.stopping:
                return
            (self.later if later else self.queue).append(task)
            self._crew.need_one()

    def help(self, most: int) -> None:
        """Do later tasks in this thread, a worker's, while more than ``most`` of them wait."""
        while True:
            with self._crew.lock:
                if len(self.later) <= most or self.stopping:
                    return
                task = self.later.popleft()
            task()

    def check(self) -> None:
        """Raise ``Stopped`` once nobody waits for the task; long tasks call this every now and then."""
        if self.stopping:
            raise Stopped

    def poll(self) -> Task:
        """A ``check`` for one task that calls FFmpeg again and again.

        It also lets other threads have the interpreter: a task whose calls take microseconds gives it back
        so briefly that nobody wakes up in time to take it.
        """
        before = time.perf_counter()

        def check() -> None:
            nonlocal before
            if self.stopping:
                raise Stopped
            now = time.perf_counter()
            brief, before = now - before < BRIEF_S, now
            if brief and now - self._crew.yielded > YIELD_S and self._crew.running > 1:
                time.sleep(1e-6)
                self._crew.yielded = before = time.perf_counter()

        return check

    def run(self, work: Callable[[], _T], tick: Callable[[], None]) -> _T:
        """Have one piece of work done, and wait for its result as ``finish`` does."""
        results: list[_T] = []
        self.submit(lambda: results.append(work()))
        self.finish(tick)
        return results[0]

    def finish(self, tick: Callable[[], None]) -> None:
        """Wait until nothing is left to do.

        Args:
            tick: Called in this thread every few milliseconds; what it raises stops the tasks, and is raised
                when the last of them has ended.

        Raises:
            BaseException: The first that a task raised; the others are stopped then.
        """
        try:
            while not self._done_soon():
                tick()
        except BaseException:
            self._stop()
            raise
        failure, self.failure, self.stopping = self.failure, None, False
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Stop what is under way; the job is over. Safe to call twice."""
        self._stop()
        with self._crew.lock:
            if self in self._crew.jobs:
                self._crew.jobs.remove(self)
            self._crew.wake_all()

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _left(self) -> bool:
        return bool(self.running or self.queue or self.later)

    def _done_soon(self) -> bool:
        """Whether all is done, waiting for it a little."""
        with self._crew.lock:
            if self._left():
                self.ended.wait(TICK_S if self.due == math.inf else DUE_TICK_S)
            return not self._left()

    def _stop(self) -> None:
        interrupted: BaseException | None = None
        self.drop()
        while True:
            try:
                with self._crew.lock:
                    while self.running:
                        self.ended.wait()
                    self.failure, self.stopping = None, False
                break
            except KeyboardInterrupt as error:  # tasks use what the caller is about to release: wait on
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def drop(self) -> None:
        """Forget the tasks that wait, and stop those that run."""
        with self._crew.lock:
            self.stopping = True
            self.queue.clear()
            self.later.clear()


class _Crew:
    """What the threads share. ``lock`` guards all of it, and all of every job."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.RLock()  # the garbage collector may call ``end`` in a thread that holds it
        self.wake = threading.Condition(self.lock)
        self.jobs: list[Job] = []
        self.ending = False
        self.running = 0
        self.yielded = 0.0
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._pid = os.getpid()

    def need_one(self) -> None:
        """Wake a thread, or start one; called with the lock held."""
        if self._idle:
            self._idle -= 1  # here and not when it wakes: the next task needs another one
            self.wake.notify()
        elif len(self._threads) < self.most:
            name = f"l2l-worker-{len(self._threads)}"
            thread = threading.Thread(target=self._run_tasks, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake_all(self) -> None:
        """Have every thread look whether it is to end; called with the lock held."""
        self._idle = 0
        self.wake.notify_all()

    def end(self) -> None:
        """No new jobs; the threads end after the last one."""
        if os.getpid() != self._pid:
            return  # a forked child: the threads stayed behind, and perhaps one of them held the lock
        with self.lock:
            self.ending = True
            self.wake_all()

    def join(self) -> None:
        """Wait for the threads, if they are about to end."""
        if os.getpid() != self._pid:
            return
        with self.lock:
            leaving = [] if self.jobs else list(self._threads)
        for thread in leaving:
            if thread is not threading.current_thread():
                thread.join()

    def _run_tasks(self) -> None:
        while (found := self._next()) is not None:
            job, task = found
            failure: BaseException | None = None
            try:
                task()
            except Stopped:
                pass
            except BaseException as error:
                failure = error
            del task, found
            with self.lock:
                job.running -= 1
                self.running -= 1
                if failure is not None and not job.stopping:
                    job.failure, job.stopping = failure, True
                    job.queue.clear()
                    job.later.clear()
                if not (job.running or job.queue or job.later):
                    job.ended.notify_all()
            del job, failure

    def _next(self) -> tuple[Job, Task] | None:
        """The next task; None when the thread is to end."""
        with self.lock:
            while True:
                for job in self.jobs:
                    waiting = job.queue or job.later
                    if waiting:
                        job.running += 1
                        self.running += 1
                        return job, waiting.popleft()
                if self.ending and not self.jobs:
                    return None
                self._idle += 1
                self.wake.wait()


_crews: weakref.WeakSet[_Crew] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Native code must not run on while the interpreter is taken down around it."""
    for crew in list(_crews):
        crew.end()
        crew.join()
