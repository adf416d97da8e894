"""The operations on their own."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import skim_reference
from skim_cases import random_batch

from l2l_engine.ops import interpolate, soft_index

INSTRUCTIONS = ("portable", "auto")


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (2, 1, 3), (7, 7, 17), (129, 26, 64), (205, 300, 70)])
def test_interpolate(n, m, d, instructions):
    rng = np.random.default_rng(n)
    features = rng.standard_normal((3, m, d)).astype(np.float32)
    knots = np.sort(rng.uniform(2, 8, (3, m)), 1) + np.arange(m) * 1e-3
    timestamps = rng.uniform(0, 10, (3, n))
    timestamps[:, : min(n, m)] = knots[:, : min(n, m)]
    got = interpolate(features, knots, timestamps, instructions=instructions)
    wanted = [skim_reference.interpolate(*video) for video in zip(features, knots, timestamps, strict=True)]
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < 1e-5
    on_knots = min(n, m)
    assert np.array_equal(got[:, :on_knots], features[:, :on_knots]), "a knot is its own value, exactly"


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_interpolate_takes_half_precision(dtype):
    features = np.arange(6).reshape(1, 3, 2).astype(dtype)
    got = interpolate(features, [[0, 1, 2]], [[0.5, 5]])
    assert np.array_equal(got, [[[1, 2], [4, 5]]])


def test_interpolate_with_extreme_times():
    got = interpolate(
        np.array([[[1.0], [3.0]]], np.float32), [[-1.7e308, 1.7e308]], [[0.0, -1.79e308, 1.79e308]]
    )
    assert np.array_equal(got.ravel(), [2, 1, 3])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("features", np.zeros((1, 3)), TypeError),
        ("features", np.zeros((1, 3), np.float32), ValueError),
        ("features", np.zeros((1, 0, 2), np.float32), ValueError),
        ("knot_times", [[0, 1]], ValueError),
        ("knot_times", [[0, 1, 1]], ValueError),
        ("knot_times", [[0, 1, np.nan]], ValueError),
        ("knot_times", [["0", "1", "2"]], TypeError),
        ("timestamps", [[]], ValueError),
        ("timestamps", [[np.inf]], ValueError),
        ("timestamps", [[1], [2]], ValueError),
        ("instructions", "sse9", ValueError),
    ],
)
def test_interpolate_names_the_argument(name, value, error):
    arguments = {
        "features": np.zeros((1, 3, 2), np.float32), "knot_times": [[0, 1, 2]], "timestamps": [[0.5]],
    }  # fmt: skip
    with pytest.raises(error, match=f"^{name}: "):
        interpolate(**{**arguments, name: value})


def soft_index_arguments(rng, sizes, d):
    batch = random_batch(rng, d, sizes)
    names = ("image_bank", "audio_bank", "image_times", "audio_times", "timestamps")
    share = rng.uniform(0, 1, (len(sizes), 1))
    queries = {
        f"{m}_query": rng.standard_normal((len(sizes), d)).astype(np.float32) for m in ("image", "audio")
    }
    return {
        **dict(zip(names, batch.arguments, strict=True)), **batch.lengths, **queries,
        "modality_scores": np.hstack([share, 1 - share]).astype(np.float32),
    }, batch.videos  # fmt: skip


@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_soft_index(instructions, excluding):
    rng = np.random.default_rng(5)
    arguments, videos = soft_index_arguments(rng, [(129, 26, 40), (1, 1, 1), (7, 7, 2), (21, 3, 30)], 37)
    excluded = {m: rng.uniform(size=arguments["timestamps"].shape) < 0.3 for m in ("image", "audio")}
    excluded["audio"][2] = True  # all: as if none
    masks = {f"{m}_excluded": mask for m, mask in excluded.items()} if excluding else {}
    result = soft_index(**arguments, **masks, instructions=instructions)
    for v, (image, audio, timestamps) in enumerate(videos):
        n = len(timestamps)
        rows = {"image": skim_reference.interpolate(*image, timestamps)}
        rows["audio"] = skim_reference.interpolate(*audio, timestamps)
        mixture = 0
        for m, s in zip(rows, arguments["modality_scores"][v], strict=True):
            scores = rows[m] @ arguments[f"{m}_query"][v].astype(np.float64)
            mask = excluded[m][v, :n]
            if excluding and not mask.all():
                scores[mask] = -np.inf
            attention = skim_reference.softmax(scores)
            mixture = mixture + s * attention
            got = getattr(result, f"{m}_attention")[v]
            assert np.abs(got[:n] - attention).max() < 1e-5
            assert not got[n:].any()
        for m, z in rows.items():
            assert np.abs(getattr(result, f"{m}_features")[v] - mixture @ z).max() < 1e-5


@pytest.mark.parametrize("name", ["image_query", "audio_query", "modality_scores", "image_excluded"])
def test_soft_index_names_the_argument(name):
    arguments, _ = soft_index_arguments(np.random.default_rng(6), [(9, 4, 5)] * 2, 8)
    arguments["image_excluded"] = np.zeros((2, 9), bool)
    with pytest.raises(ValueError, match=f"^{name}: "):
        soft_index(**{**arguments, name: arguments[name][:, :-1]})
    with pytest.raises(ValueError, match=f"^{name}: "):
        soft_index(**{**arguments, name: arguments[name][0]})
    with pytest.raises(TypeError, match=f"^{name}: "):
        soft_index(**{**arguments, name: arguments[name].astype(complex)})


def test_soft_index_refuses_what_is_not_finite():
    arguments, _ = soft_index_arguments(np.random.default_rng(7), [(9, 4, 5)], 8)
    for name in ("image_bank", "audio_bank", "image_query", "modality_scores"):
        spoiled = arguments[name].copy()
        spoiled.flat[-1] = np.inf
        with pytest.raises(ValueError, match=f"^{name}: .*not finite"):
            soft_index(**{**arguments, name: spoiled})
    with pytest.raises(ValueError, match=r"^audio_bank: .*too large"):
        soft_index(**{**arguments, "audio_bank": arguments["audio_bank"] * 1e6}, precision="fp16")


WITHOUT_CUDA = """
import sys
import l2l_engine
for name in [name for name in sys.modules if name == "l2l_engine.ops" or name.startswith("l2l_engine.cuda")]:
    del sys.modules[name]
import numpy as np
from l2l_engine import ops

rows, times, query = np.ones((1, 2, 4), np.float32), [[0.0, 1.0]], np.ones((1, 4), np.float32)
ops.interpolate(rows, times, [[0.5]])
options = {"image_query": query, "audio_query": query, "modality_scores": np.ones((1, 2), np.float32)}
ops.soft_index(rows, rows, times, times, [[0.5]], **options)
print([name for name in sys.modules if name.startswith("l2l_engine.cuda")])

class Far:
    __cuda_array_interface__ = {}

try:
    ops.interpolate(Far(), times, times)
except Exception:
    print("l2l_engine.cuda" in sys.modules)
"""


def test_arrays_on_the_host_do_not_import_the_cuda_side():
    command = [sys.executable, "-c", WITHOUT_CUDA]
    done = subprocess.run(command, check=True, timeout=100, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]


def test_soft_index_names_arguments_it_does_not_know_or_lacks():
    arguments, _ = soft_index_arguments(np.random.default_rng(8), [(9, 4, 5)], 8)
    with pytest.raises(TypeError, match="image_mask"):
        soft_index(**arguments, image_mask=None)
    del arguments["audio_query"]
    with pytest.raises(TypeError, match="audio_query"):
        soft_index(**arguments)
    with pytest.raises(ValueError, match=r"^precision: "):
        soft_index(**arguments, audio_query=arguments["image_query"], precision="int8")
