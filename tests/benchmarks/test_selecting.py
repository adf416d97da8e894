"""What `benchmarks.selecting` tells of rows that were measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.selecting import COUNTS, WAYS, inside, table


def row(way: str, count: int, seconds: list[float], decode_s: float, **more: Any) -> dict[str, Any]:
    shown = {"seconds": seconds, "sounds": [], "stretches": [[1.0, 2.0], [5.0, 6.0]]}
    return shown | {"way": way, "count": count, "decoded": 10, "decode_s": decode_s, "whole_s": 1.0} | more


def test_the_ends_of_a_stretch_are_inside() -> None:
    assert inside(row("ours", 4, [1.0, 2.0, 3.0, 5.5], 1.0), "seconds") == 0.75
    assert inside(row("ours", 4, [], 1.0), "seconds") is None


def test_shares_are_means_and_costs_medians() -> None:
    rows = [row(way, count, [0.0], 0.4) for way in WAYS[1:] for count in COUNTS]
    for seconds, cost in (([1.5, 5.5], 0.1), ([1.5, 9.0], 0.2), ([0.0], 0.9)):
        rows += [row(WAYS[0], count, seconds, cost, sounds=[1.5], audio_s=0.05) for count in COUNTS]
    first, second, _ = table(rows)[:3]
    assert (first["way"], first["count"], first["videos"]) == (WAYS[0], COUNTS[0], 3)
    assert first["inside"] == pytest.approx(0.5)
    assert first["none_inside"] == pytest.approx(1 / 3)
    assert (first["decode_s"], first["sounds_inside"]) == (0.2, 1.0)
    assert second["inside"] == 0.0
    assert second["ratio"] == pytest.approx(0.5)
    assert second["audio_s"] is None
