import operator
import os
import signal
import time

import pytest

from training.runs.parallel import Lost, parallel_map


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_and_all(workers):
    assert list(parallel_map(operator.neg, range(40), workers)) == [-n for n in range(40)]
    assert list(parallel_map(operator.neg, [], 2)) == []


def test_jobs_wait_for_who_uses_the_results():
    taken = []

    def jobs():
        for number in range(100):
            taken.append(number)
            yield number

    results = parallel_map(operator.neg, jobs(), 1)
    assert [next(results), next(results)] == [0, -1]
    assert len(taken) <= 4 + 2
    results.close()


def test_an_error_of_a_job_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(parallel_map((1).__floordiv__, [1, 0], 1))


def misbehave(job):
    """A decoder that crashes, hangs or is killed, as the job says."""
    if job == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif job == "leave":
        os._exit(3)
    elif job == "hang":
        time.sleep(600)
    return job


def test_a_crash_or_a_hang_costs_one_job():
    jobs = ["a", "crash", "b", "hang", "c", "leave", "crash", "d"]
    results = list(parallel_map(misbehave, jobs, 2, longest=1.0))
    assert [
        job if isinstance(result, Lost) else result for job, result in zip(jobs, results, strict=True)
    ] == jobs
    lost = {job: result for job, result in zip(jobs, results, strict=True) if isinstance(result, Lost)}
    assert lost == {
        "crash": "the process that decoded it died (SIGSEGV)",
        "hang": "given up after 1 s",
        "leave": "the process that decoded it died (3)",
    }


class _Deadly:
    """A job that ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_job_that_kills_before_it_begins_costs_one_job():
    jobs = [1, _Deadly(), 2, 3]
    lost = "the process that decoded it died (7)"
    assert list(parallel_map(operator.neg, jobs, 2)) == [-1, lost, -2, -3]


def process_number(_job):
    return os.getpid()


def test_a_process_killed_between_jobs_costs_none():
    given = []

    def jobs():
        for number in range(8):
            if number == 5:
                # The only process has had no job since it answered the last one.
                os.kill(given[-1], signal.SIGKILL)
                os.waitid(os.P_PID, given[-1], os.WEXITED | os.WNOWAIT)
            yield number

    results = parallel_map(process_number, jobs(), 1)
    for number in results:
        given.append(number)
    assert len(given) == 8
    assert len(set(given)) == 2


class _CannotStart:
    def __call__(self, job):
        return job

    def __reduce__(self):
        return os._exit, (9,)


def test_a_process_that_cannot_start_is_no_fault_of_the_job():
    with pytest.raises(RuntimeError, match="ended as it began, with status 9"):
        list(parallel_map(_CannotStart(), ["a"], 1))
