"""Measures against numbers worked out by hand."""

import numpy as np
import pytest

from training.learning.measures import accuracy, calibration_error, paired_difference


def test_wilson_interval():
    row = accuracy([True] * 90 + [False] * 10)
    # (0.9 + 1.9208/100 +- 1.96 sqrt(0.09/100 + 0.9604/10000)) / (1 + 3.8416/100)
    assert row["top1"] == 0.9
    assert row["low"] == pytest.approx(0.8256, abs=1e-4)
    assert row["high"] == pytest.approx(0.9448, abs=1e-4)
    assert accuracy([]) == {"videos": 0}


def test_calibration_error_by_hand():
    # Two bins of half the videos each: |1 - 0.95| and |0.5 - 0.55|.
    halves = np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, True, True, False])
    assert calibration_error(*halves) == pytest.approx(0.05)
    # Two at 0.95, one right: a gap of 0.45 with weight 2/3. One at 0.5, right: 0.5 with 1/3.
    error = calibration_error(np.array([0.95, 0.95, 0.5]), np.array([True, False, True]))
    assert error == pytest.approx(0.45 * 2 / 3 + 0.5 / 3)


def test_paired_difference_by_hand():
    row = paired_difference([True, True, True, False], [True, False, True, False])
    assert row["points"] == 25
    # Differences 0, 100, 0, 0: deviation 43.3, over the root of four videos.
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * 43.301 / 2, abs=0.01)
