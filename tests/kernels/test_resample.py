"""The native resampling against its definition, on every instruction set this CPU has."""

import numpy as np
import pytest

from l2l_engine import _native

SETS = ("portable", "avx2", "avx512", "avx512_bf16")


def defined(samples, taps, rest, step, cycle, count):
    places = rest + np.arange(count) * step
    rows = places % cycle * len(taps) // cycle
    starts = places // cycle
    return np.array([samples[s : s + taps.shape[1]] @ taps[r] for s, r in zip(starts, rows, strict=True)])


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize(
    ("rows", "width", "rest", "step", "cycle", "count"),
    [(1, 1, 0, 1, 1, 1), (160, 141, 77, 441, 160, 500), (2, 49, 1, 1, 2, 333), (7, 16, 900, 44101, 1000, 50)],
)
def test_by_definition(instructions, rows, width, rest, step, cycle, count):
    rng = np.random.default_rng(0)
    needed = (rest + (count - 1) * step) // cycle + width
    samples, taps = (rng.standard_normal(shape).astype(np.float32) for shape in (needed, (rows, width)))
    try:
        found = _native.resample(samples, taps, rest, step, cycle, count, instructions)
    except ValueError as error:
        if str(error).startswith("instructions: this CPU has no"):
            pytest.skip(str(error))
        raise
    expected = defined(samples.astype(float), taps.astype(float), rest, step, cycle, count)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.sqrt(width))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": np.zeros(9, np.float32)}, "samples: too few"),
        ({"samples": np.zeros((2, 9), np.float32)}, "samples: expected 1 dimensions"),
        ({"taps": np.zeros((0, 4), np.float32)}, "taps: expected at least one"),
        ({"rest": 3}, "rest: out of range"),
        ({"rest": -1}, "rest: out of range"),
        ({"step": 0}, "step: out of range"),
        ({"step": 1 << 40}, "step: out of range"),
        ({"cycle": 0}, "cycle: out of range"),
        ({"count": 0}, "count: out of range"),
        ({"count": 1 << 40}, "count: out of range"),
        ({"instructions": "mmx"}, "instructions"),
    ],
)
def test_bad_arguments_are_named(change, message):
    good = {
        "samples": np.zeros(10, np.float32),
        "taps": np.zeros((2, 4), np.float32),
        "rest": 0,
        "step": 2,
        "cycle": 3,
        "count": 10,
        "instructions": "portable",
    }
    assert len(_native.resample(*good.values())) == 10
    with pytest.raises(ValueError, match=message):
        _native.resample(*(good | change).values())


def test_a_wrong_dtype_is_refused():
    with pytest.raises(TypeError):
        _native.resample(np.zeros(10), np.zeros((1, 4), np.float32), 0, 1, 1, 1, "auto")
