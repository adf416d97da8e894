"""Intervals that know which videos belong together."""

import numpy as np
import pytest

from training.journey.rows import effective_number, score
from training.learning.measures import accuracy


def test_videos_on_their_own_have_the_usual_interval():
    right = [True] * 30 + [False] * 10
    assert score(right, list(map(str, range(40)))) == accuracy(right)
    assert score([], []) == {"videos": 0}


def test_copies_tell_as_much_as_one():
    right = [True, False, True, True, False] * 4
    copies = [good for good in right for _ in range(5)]
    groups = [str(number // 5) for number in range(100)]
    assert effective_number(copies, groups) == pytest.approx(20, rel=0.06)
    inner, outer = score(copies, groups), score(copies, list(map(str, range(100))))
    assert inner["top1"] == outer["top1"] == 0.6
    assert inner["high"] - inner["low"] > 1.9 * (outer["high"] - outer["low"])


def test_all_right_in_a_few_groups_is_not_certain():
    assert effective_number([True] * 40, [str(n // 10) for n in range(40)]) == 4
    assert score([True] * 40, [str(n // 10) for n in range(40)])["low"] < 0.6
    assert effective_number([True] * 3, ["a"] * 3) == 1


def test_the_interval_of_groups_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        groups = np.repeat(np.arange(30), rng.integers(1, 8, 30))
        easy = rng.beta(2, 1, 30)
        right = rng.random(len(groups)) < easy[groups]
        found = score(right.tolist(), list(map(str, groups)))
        hits += found["low"] <= 2 / 3 <= found["high"]
    assert hits >= 0.9 * 400
