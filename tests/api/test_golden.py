"""Predictions of the demo videos are what they were."""

from __future__ import annotations

import json

from tests.api.golden import SMALL, as_now, compare, differences, small

TOLERANCE = 2e-3
"""What other instructions and other versions of the libraries may change in fp32."""


def test_the_demo_videos_are_answered_as_before() -> None:
    before, after = json.loads(SMALL.read_text()), small()
    assert before.keys() == after.keys()
    assert not [
        f"{name}{text}"
        for name in before
        for text in differences(as_now(before[name]), after[name], TOLERANCE)
    ]


def test_differences_are_seen() -> None:
    one = {"label": "a", "probabilities": [0.25, 0.75], "media": {"rounds": 1}, "stopped_by": "done"}
    other = one | {"probabilities": [0.25, 0.7501], "media": {"rounds": 2}}
    assert list(differences(one, one, 0.0)) == []
    assert len(list(differences(one, other, 0.0))) == 2
    assert list(differences(one, other, 1e-3)) == [".media.rounds: 1 became 2"]
    now = as_now(one)
    assert now["labels"] == ["a"]
    assert len(compare({"x": one}, {"x": as_now(other), "y": now})) == 3
    assert compare({"x": now | {"stopped_by": "confidence"}}, {"x": now | {"stopped_by": "confidence"}}) == []
