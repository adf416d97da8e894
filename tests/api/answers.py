"""Comparing predictions."""

from __future__ import annotations

from l2l_engine import Prediction

HOP = 16 / 30


def same_answer(one: Prediction, other: Prediction) -> bool:
    """Bit-identical but for the clock and the file's name."""
    plain = [p.to_dict() | {"timings": None, "path": None} for p in (one, other)]
    return plain[0] == plain[1]
