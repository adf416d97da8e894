import operator

import pytest

from training.parallel import parallel_map


def test_results_come_in_order_and_all():
    assert list(parallel_map(operator.neg, range(40), 2)) == [-n for n in range(40)]


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
