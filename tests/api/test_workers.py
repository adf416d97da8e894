"""The threads that do the work: how many, in which order, and how they end."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

import pytest

from l2l_engine import ClosedError
from l2l_engine.run.workers import Job, Stopped, Workers


def nothing() -> None:
    """A tick that asks for nothing."""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.001)
    assert true()


def working() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("l2l-worker")}


def test_every_task_wakes_a_thread_of_its_own() -> None:
    """Several tasks in a row once all fell to the one thread that happened to be idle."""
    crew, together = Workers(4), threading.Barrier(4)
    with crew.job() as job:
        job.run(nothing, nothing)
        until(lambda: crew._crew._idle == 1)
        for _ in range(4):
            job.submit(lambda: together.wait(20))  # type: ignore[arg-type,return-value]
        job.finish(nothing)
    crew.close()
    assert not together.broken


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_tasks_at_once_as_threads_and_never_more(threads: int) -> None:
    together = threading.Barrier(threads)
    running = most = 0
    lock = threading.Lock()

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    workers = Workers(threads)
    with workers.job() as one, workers.job() as other:
        for _ in range(threads):
            one.submit(lambda: together.wait(20))  # type: ignore[arg-type,return-value]
        one.finish(nothing)
        for _ in range(20):
            one.submit(task)
            other.submit(task)
        one.finish(nothing)
        other.finish(nothing)
    workers.close()
    assert most <= threads


def test_what_is_due_and_older_jobs_come_first_and_later_tasks_last() -> None:
    workers, order, go, busy = Workers(1), [], threading.Event(), threading.Event()
    with workers.job() as old, workers.job() as young, workers.job(2.0) as due, workers.job(1.0) as sooner:
        young.submit(lambda: (busy.set(), go.wait(20)))  # type: ignore[arg-type,return-value]
        assert busy.wait(20)
        young.submit(lambda: order.append("young"))
        old.submit(lambda: order.append("later"), later=True)
        old.submit(lambda: order.append("old"))
        due.submit(lambda: order.append("due later"), later=True)
        sooner.submit(lambda: order.append("sooner"))
        go.set()
        for job in (young, old, due, sooner):
            job.finish(nothing)
    workers.close()
    assert order == ["sooner", "due later", "old", "later", "young"]


def test_the_first_error_stops_the_others_and_the_job_goes_on() -> None:
    workers, ran = Workers(2), []

    def long(job: Job) -> None:
        while True:
            job.check()
            time.sleep(0.001)

    def fail() -> None:
        raise KeyError("first")

    with workers.job() as job:
        job.submit(lambda: long(job))
        job.submit(fail)
        for _ in range(50):
            job.submit(lambda: ran.append(1))
        with pytest.raises(KeyError, match="first"):
            job.finish(nothing)
        assert not ran
        assert job.run(lambda: "again", nothing) == "again"
    workers.close()


def test_what_tick_raises_ends_the_tasks_before_it_comes_out() -> None:
    workers, ended = Workers(2), threading.Event()

    def long(job: Job) -> None:
        try:
            while True:
                job.check()
                time.sleep(0.001)
        except Stopped:
            time.sleep(0.05)
            ended.set()
            raise

    def tick() -> None:
        raise KeyboardInterrupt

    with workers.job() as job:
        job.submit(lambda: long(job))
        until(lambda: job.running == 1)
        with pytest.raises(KeyboardInterrupt):
            job.finish(tick)
        assert ended.is_set()
    workers.close()


def test_a_task_helps_when_too_much_waits() -> None:
    workers, waiting = Workers(1), []

    def produce(job: Job) -> None:
        for _ in range(10):
            job.submit(nothing, later=True)
            job.help(2)
            waiting.append(len(job.later))

    with workers.job() as job:
        job.submit(lambda: produce(job))
        job.finish(nothing)
    workers.close()
    assert max(waiting) == 2


def test_threads_start_when_needed_and_end_with_their_owner() -> None:
    before = working()  # of other tests: those may end at any time, and none begins
    workers = Workers(2)
    assert not working() - before
    with workers.job() as job:
        job.run(nothing, nothing)
        assert len(working() - before) == 1
        workers.close()
        assert job.run(lambda: "still", nothing) == "still"  # what is under way ends normally
    with pytest.raises(ClosedError):
        workers.job()
    until(lambda: not working() - before)
    forgotten = Workers(2)
    with forgotten.job() as job:
        job.run(nothing, nothing)
    del forgotten, job
    gc.collect()
    until(lambda: not working() - before)
