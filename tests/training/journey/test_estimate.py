"""The estimate comes from the first files measured, and the clock tells what is left."""

import pytest

from training.journey.estimate import HD, Clock, measured_chunks, minutes, spread, weight


class Time:
    """A clock that is moved by hand."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize("once", [0.0, 7.0])
def test_the_rest_is_estimated_from_a_few_of_all_sizes(once):
    """Two workers at 0.5 s a unit together; a part costs 3 s more, the first what is paid but once."""
    time, told, said, seen = Time(), [], [], []
    clock = Clock(now=time, say=said.append)
    weights = [float(1 + number % 10) for number in range(400)]
    parts = 0
    for part in measured_chunks(list(range(400)), weights, clock, told.append, workers=2):
        seen += part
        parts += 1
        total = sum(weights[number] for number in part)
        time.seconds += 3.0 + (1.0 if len(part) == 1 else 0.5) * total + (once if parts == 1 else 0.0)
    assert sorted(seen) == list(range(400))
    left = sum(weights) - sum(weights[number] for number in seen[:10])
    assert told == [pytest.approx(0.5 * left + 3 * 9, rel=0.01)]
    assert len(said) == parts - 4
    assert said[0].endswith("left of this step")


def test_small_ones_large_ones_and_between_are_measured():
    assert spread([5.0, 1.0, 9.0, 3.0, 7.0], 1) == [0]
    assert spread([5.0, 1.0, 9.0, 3.0, 7.0], 3) == [1, 0, 2]
    assert spread([1.0], 3) == [0]
    assert list(measured_chunks([], [], Clock(say=lambda line: None), lambda left: None, 1)) == []
    assert list(measured_chunks("ab", [1, 1], Clock(say=lambda line: None), lambda left: None, 1)) == [
        ["a"],
        ["b"],
    ]


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
