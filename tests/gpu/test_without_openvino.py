"""OpenVINO runs the networks on the CPU alone: a machine with a GPU does without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, DeviceError
from l2l_engine.gpu import loading
from l2l_engine.plan import Plan
from tests.gpu.host import HostDevice, HostNetwork
from tests.gpu.videos import VP9


class Means:
    """A network in NumPy."""

    features = 12

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.input_shape = shape

    def encode(self, batch: np.ndarray) -> np.ndarray:
        flat = batch.reshape(len(batch), -1).astype(np.float32)
        return np.stack([flat[:, i :: self.features].mean(axis=1) for i in range(self.features)], axis=1)


@pytest.fixture
def _hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "l2l_engine.backends.openvino", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("networks", "_hidden")
def test_predictions_on_a_gpu_take_none(
    devices: list[HostDevice], plan_file: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(plan: Plan, part: str, *_: object) -> Any:
        crop = plan.document.media.crop
        shape = (crop, crop, 3) if part == "image" else (16000,)
        return HostNetwork(devices[0], Means(shape))  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "_load_network", network)
    with Classifier(plan_file, device="cuda") as classifier:
        classifier.warmup()
        for file in (video, VP9):
            assert classifier.predict(file).label
        found = classifier.features(video)
        assert classifier.predict_features(found.image_bank, found.audio_bank).device == "cuda"
    assert "l2l_engine.backends.openvino" not in sys.modules


@pytest.mark.usefixtures("_hidden")
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_cpu_says_that_it_needs_it(plan_file: Path, device: str) -> None:
    with pytest.raises(DeviceError, match=r"device='cpu' needs OpenVINO.*pip install openvino"):
        Classifier(plan_file, device=device)


def test_what_a_gpu_takes_imports_none() -> None:
    code = (
        "import sys\n"
        "import l2l_engine, l2l_engine.gpu, l2l_engine.cli.main, l2l_engine.cli.doctor\n"
        "assert not any(name.partition('.')[0] == 'openvino' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
