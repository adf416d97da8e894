"""Interpolation alone against copying its output, which is the least it could cost."""

from __future__ import annotations

import numpy as np

from benchmarks.conftest import Against
from l2l_engine.ops import interpolate


def test_interpolate(against: Against) -> None:
    rng = np.random.default_rng(0)
    moments, knots, features = 6300, 1260, 512
    bank = rng.standard_normal((1, knots, features)).astype(np.float32)
    timestamps = np.arange(moments)[None] * (16 / 30)
    knot_times = timestamps[:, ::5].copy()
    output = interpolate(bank, knot_times, timestamps)
    # Both make a new array: the system's work for fresh memory is part of each.
    peers = {"copy": output.copy}
    against(lambda: interpolate(bank, knot_times, timestamps), peers, rounds=60, within={"copy": 1.3})
