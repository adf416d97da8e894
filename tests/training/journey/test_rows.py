"""Intervals that know of groups, classes taken for each other, and the confidence below which to doubt."""

import numpy as np
import pytest

from training.journey.rows import confused, doubt, effective_number, known, score
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


def test_classes_are_named_when_answers_do_not_tell_them_apart():
    pairs = [("cat", "cat")] * 10 + [("dog", "dog")] * 10 + [("cow", "cow")] * 3
    pairs += [("cow", "ox")] * 3 + [("ox", "cow")] * 2 + [("ox", "ox")] * 3 + [("dog", "cat")]
    assert confused(pairs) == [{"classes": ["cow", "ox"], "videos": 11, "confused": 5}]
    assert confused([("a", "a")] * 3 + [("b", "b")] * 3) == []


def test_the_threshold_leaves_answers_of_which_nine_in_ten_are_right():
    confidences = np.linspace(0.2, 1.0, 101)
    right = [
        (number % 2 == 0) if sure < 0.5 else (number % 20 != 0) for number, sure in enumerate(confidences)
    ]
    found = doubt(confidences.tolist(), right)
    assert found.wanted == 0.9
    assert 0.35 < found.threshold < 0.55
    kept = known(confidences.tolist(), right, found.threshold)
    assert kept["right"] >= 0.9 * kept["known"]


def test_where_few_are_right_doubt_begins_where_more_are_wrong():
    confidences = [0.1 * n for n in range(1, 10)] * 4
    right = [sure > 0.65 and number % 4 != 0 for number, sure in enumerate(confidences)]
    found = doubt(confidences, right)
    assert found.wanted is None
    assert 0.6 <= found.threshold <= 0.7


def test_sure_and_right_answers_leave_no_one_in_doubt():
    found = doubt([0.9] * 12, [True] * 12)
    assert found.threshold <= 0.9
    assert known([0.9] * 12, [True] * 12, found.threshold)["known"] == 12
    assert doubt([0.9] * 5, [True] * 5) is None
