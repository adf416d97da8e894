"""The estimate comes from the first files measured, and the clock tells what is left."""

import pytest

from training.journey.estimate import HD, Clock, measured_chunks, minutes, spread, weight


class Time:
    """A clock that is moved by hand."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_the_rest_is_estimated_from_a_few_of_all_sizes():
    time, told, said = Time(), [], []
    clock = Clock(now=time, say=said.append)
    weights = [float(1 + number % 10) for number in range(200)]
    seen = []
    for part in measured_chunks(list(range(200)), weights, clock, told.append, workers=2):
        seen += part
        time.seconds += 0.5 * sum(weights[number] for number in part) + (7.0 if len(seen) == 1 else 0.0)
    assert sorted(seen) == list(range(200))
    measured = sum(weights[number] for number in seen[:5])
    assert told == [pytest.approx(0.5 * (sum(weights) - measured))]
    assert said[0] == "23 of 200 videos, about 8 min left of this step"


def test_small_ones_large_ones_and_between_are_measured():
    assert spread([5.0, 1.0, 9.0, 3.0, 7.0], 1) == [0]
    assert spread([5.0, 1.0, 9.0, 3.0, 7.0], 3) == [1, 0, 2]
    assert spread([1.0], 3) == [0]
    assert list(measured_chunks([], [], Clock(say=lambda line: None), lambda left: None, 1)) == []


def test_estimate_and_truth_are_reported_of_steps_that_were_estimated():
    time, said = Time(), []
    clock = Clock(now=time, say=said.append)
    clock.run("prepare", lambda: setattr(time, "seconds", 3.0))
    clock.expect(head=60.0, export=120.0)
    assert said[-1] == "== about 3 min from here to the plan"
    clock.run("head", lambda: setattr(time, "seconds", 53.0))
    assert clock.left() == 120.0
    assert clock.report() == {"expected": 60.0, "taken": 50.0, "steps": {"head": 60.0}}
    assert clock.taken["prepare"] == 3.0


def test_words():
    assert [minutes(s) for s in (0.2, 59, 600, 3 * 3600)] == ["1 s", "59 s", "10 min", "3.0 h"]
    assert weight(10, HD) == 20
    assert weight(10, 0) == 10
