"""Whole predictions on a real GPU, beside the CPU's. Not yet run on one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, DeviceMemoryError
from l2l_engine.gpu.loading import _missing_dali, why_not
from tests.media.makers import media

pytestmark = pytest.mark.gpu
DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Classifier, Classifier]]:
    """On the GPU and on the CPU."""
    missing = why_not()
    if missing is not None:
        pytest.skip(missing)
    plan = DEMO / "demo.plan"
    with Classifier(plan, device="cuda") as gpu, Classifier(plan, device="cpu", precision="fp32") as cpu:
        yield gpu, cpu


def check(got: Any, expected: Any) -> None:
    assert got.device == "cuda"
    assert got.label == expected.label
    np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=2e-2)


@pytest.mark.parametrize(
    "name", ["box-bouncing", "box-spinning", "ring-sliding", "ring-spinning", "star-shaking"]
)
def test_the_demos_videos(pair: tuple[Classifier, Classifier], name: str) -> None:
    file = DEMO / f"{name}.mp4"
    for sampling in ("auto", "exact", "listen"):
        got = pair[0].predict(file, sampling=sampling)  # type: ignore[arg-type]
        check(got, pair[1].predict(file, sampling=sampling))  # type: ignore[arg-type]
        assert got.decoder == ("dali" if _missing_dali() is None else "pyav")


def test_threads_share_it(pair: tuple[Classifier, Classifier]) -> None:
    files = sorted(DEMO.glob("*.mp4"))
    expected = [pair[0].predict(file) for file in files]
    with ThreadPoolExecutor(8) as pool:
        for got, alone in zip(pool.map(pair[0].predict, files * 10), expected * 10, strict=True):
            assert got.label == alone.label
            np.testing.assert_allclose(got.probabilities, alone.probabilities, atol=1e-3)


def test_without_a_codec_of_the_gpus_the_cpu_decodes(pair: tuple[Classifier, Classifier]) -> None:
    video = media("asf", video="msmpeg4", audio="libmp3lame", frames=100)
    got = pair[0].predict(video)
    check(got, pair[1].predict(video))
    assert got.decoder == "pyav"


@pytest.mark.parametrize("library", ["torch", "cupy", "pycuda"])
def test_features_in_and_out_without_a_copy(pair: tuple[Classifier, Classifier], library: str) -> None:
    gpu, cpu = pair
    video = DEMO / "ring-spinning.mp4"
    found = gpu.features(video)
    pointer = found.image_bank.__cuda_array_interface__["data"][0]
    if library == "torch":
        torch = pytest.importorskip("torch")
        banks = [torch.from_dlpack(bank) for bank in (found.image_bank, found.audio_bank)]
        assert banks[0].data_ptr() == pointer
    elif library == "cupy":
        cupy = pytest.importorskip("cupy")
        banks = [cupy.from_dlpack(bank) for bank in (found.image_bank, found.audio_bank)]
        assert banks[0].data.ptr == pointer
    else:
        gpuarray = pytest.importorskip("pycuda.gpuarray")
        pytest.importorskip("pycuda.autoprimaryctx")
        banks = [gpuarray.to_gpu(bank.numpy()) for bank in (found.image_bank, found.audio_bank)]
    times = {"image_times": found.image_times, "audio_times": found.audio_times}
    got = gpu.predict_features(*banks, **times, timestamps=found.timestamps)
    check(got, cpu.predict(video))


def test_out_of_memory_leaves_it_usable(pair: tuple[Classifier, Classifier]) -> None:
    torch = pytest.importorskip("torch")
    video = DEMO / "ring-spinning.mp4"
    with Classifier(DEMO / "demo.plan", device="cuda") as fresh:
        taken = []
        size = 1 << 30
        while size >= 1 << 16:
            try:
                taken.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            except torch.OutOfMemoryError:
                size //= 2
        with pytest.raises(DeviceMemoryError):
            fresh.predict(video)
        taken.clear()
        torch.cuda.empty_cache()
        check(fresh.predict(video), pair[1].predict(video))
