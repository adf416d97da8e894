"""A Classifier on each of two GPUs, in one process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, DeviceError, DeviceLostError
from l2l_engine.backends import gpu as gpus
from l2l_engine.cuda import native
from l2l_engine.gpu import loading
from l2l_engine.loading import resolve_device
from tests.api.commands import inside
from tests.gpu.host import HostDevice, HostNetwork, broken
from tests.gpu.videos import VP9

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]


def test_the_second_predicts_as_the_first(
    networks: dict[str, HostNetwork],
    devices: list[HostDevice],
    plan_file: Path,
    module: ModuleType,
    video: Path,
    same: Same,
) -> None:
    with Classifier(plan_file, device="cuda") as first:
        expected = first.predict(video)
    assert (first.device, expected.device) == ("cuda", "cuda")
    before = [len(each.streams) for each in devices]
    launches = devices[0].launches
    with Classifier(plan_file, device="cuda:1") as second:
        for _ in range(3):
            got = second.predict(video)
            same(got, expected)
        assert (second.device, got.device) == ("cuda:1", "cuda:1")
        assert len(devices[0].streams) == before[0]
        assert len(devices[1].streams) > before[1]
        found = second.features(video)
        assert found.image_bank.__dlpack_device__() == (2, 1)
        assert found.image_bank.device == 1
    assert (devices[0].launches, devices[1].launches) == (launches, 2)


def test_both_at_once(networks: dict[str, HostNetwork], plan_file: Path, video: Path, same: Same) -> None:
    files = [video, VP9] * 6
    with Classifier(plan_file, device="cuda:0") as first, Classifier(plan_file, device="cuda:1") as second:
        assert (first.device, second.device) == ("cuda", "cuda:1")
        alone = [first.predict(file) for file in files[:2]] * 6
        with ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda i: (first, second)[i % 4 // 2].predict(files[i]), range(12)))
    for i, (each, expected) in enumerate(zip(got, alone, strict=True)):
        same(each, expected)
        assert each.device == ("cuda", "cuda:1")[i % 4 // 2]


def test_features_of_the_other_gpu_are_refused(
    networks: dict[str, HostNetwork], plan_file: Path, module: Any
) -> None:
    bank = module.upload(np.zeros((3, 12), np.float32), 1, module.Stream(0, None))
    with Classifier(plan_file, device="cuda") as first, Classifier(plan_file, device="cuda:1") as second:
        assert second.predict_features(bank, None).device == "cuda:1"
        with pytest.raises(ValueError, match="image_bank is on GPU 1, and this Classifier on GPU 0"):
            first.predict_features(bank, None)


def test_one_that_is_lost_leaves_the_other(
    networks: dict[str, HostNetwork], devices: list[HostDevice], plan_file: Path, video: Path
) -> None:
    with Classifier(plan_file, device="cuda") as first, Classifier(plan_file, device="cuda:1") as second:
        devices[1].fail = broken("upload", DeviceLostError)
        with pytest.raises(DeviceLostError):
            second.predict(video)
        assert first.predict(video).label


def test_names_of_devices() -> None:
    names = {
        "auto": "cpu",
        "cpu": "cpu",
        "cuda": "cuda",
        "cuda:0": "cuda",
        "cuda:1": "cuda:1",
        "cuda:12": "cuda:12",
    }
    assert {name: resolve_device(name) for name in names} == names
    for wrong in ("cuda:", "cuda:-1", "cuda:x", "cuda1", "gpu", "CUDA:1", "cuda:1 ", "cuda:1234", 1, None):
        with pytest.raises(ValueError, match=r"device must be one of .*'cuda:1'"):
            resolve_device(wrong)  # type: ignore[arg-type]


def test_a_gpu_that_is_not_there(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(number: int) -> gpus.GPU:
        if number:
            raise DeviceError(f"there is no GPU {number}: 1 can be used here, counted from 0")
        return gpus.GPU("Some GPU", (9, 0), (13, 0))

    here = ModuleType("_cuda")
    here.require_device = lambda _: None  # type: ignore[attr-defined]
    monkeypatch.setattr(native, "module", lambda: here)
    monkeypatch.setattr(loading, "find_gpu", find)
    monkeypatch.setattr(loading, "load_library", lambda _: None)
    with pytest.raises(DeviceError, match=r"device='cuda:1' is not available: there is no GPU 1: 1 can be"):
        Classifier(plan_file, device="cuda:1")


def test_the_command_line_reaches_the_second(
    networks: dict[str, HostNetwork], plan_file: Path, video: Path
) -> None:
    status, out, _ = inside("predict", video, "--plan", plan_file, "--device", "cuda:1")
    assert status == 0
    assert "by:   cuda:1, pyav, fp32" in out
    status, out, _ = inside("doctor", "--plan", plan_file, "--device", "cuda:1")
    assert status == 0
    assert "cuda:1, fp32, loaded in" in out


def test_doctor_lists_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.cli import doctor

    monkeypatch.setattr(doctor, "count_gpus", lambda: 2)
    monkeypatch.setattr(doctor, "find_gpu", lambda n: gpus.GPU(f"GPU {'AB'[n]}", (9, 0), (13, 0)))
    monkeypatch.setattr(doctor, "why_not", lambda n: (None, "too small")[n])
    assert list(doctor._gpus()) == [
        "GPU A, sm90; device=cuda is there for predictions, and not yet run on a GPU",
        "GPU B, sm90; too small",
    ]
