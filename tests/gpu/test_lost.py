"""A device that is lost to the process: everything fails at once, and nothing takes another way for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, DeviceError, DeviceLostError
from l2l_engine.cuda import native
from l2l_engine.gpu import frames, loading
from l2l_engine.gpu.graphs import Graphs
from tests.gpu.host import HostDevice, HostNetwork, broken
from tests.gpu.videos import VP9

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CALLS = ["allocate", "pin", "upload", "enqueue", "synchronize", "launch", "capture"]


@pytest.mark.parametrize("call", CALLS)
def test_it_is_lost_for_good(
    classifier: Classifier, device: HostDevice, video: Path, call: str, plan_file: Path
) -> None:
    for _ in range(
        {"launch": 2, "capture": 1}.get(call, 0)
    ):  # the third of a length launches what the second made
        classifier.predict(video)
    device.fail = broken(call, DeviceLostError)
    with pytest.raises(DeviceLostError, match=f"{call} was made to fail"):
        classifier.predict(video)
    device.fail = lambda _: None
    features = np.zeros((3, 12), np.float32)
    for again in (
        lambda: classifier.predict(video),
        lambda: classifier.features(video),
        lambda: classifier.predict_features(features, None),
        lambda: Classifier(plan_file, device="cuda"),
    ):
        with pytest.raises(DeviceLostError, match=f"{call} was made to fail"):
            again()


def test_no_graph_less_run_takes_its_place(device: HostDevice) -> None:
    graphs = Graphs(device, "a test")

    def in_words_of_its_own(_: int) -> None:
        """As TensorRT fails, which knows no DeviceLostError."""
        device.fail = broken("require", DeviceLostError)
        raise DeviceError("compiled.image does not run: an illegal memory access")

    with pytest.raises(DeviceLostError):
        graphs.capture(in_words_of_its_own)
    with pytest.raises(DeviceLostError):
        graphs.capture(lambda _: None)


@pytest.mark.parametrize("where", ["made", "decode"])
@pytest.mark.parametrize("error", [DeviceError, DeviceLostError])
def test_no_decoder_of_the_cpus_takes_its_place(
    classifier: Classifier,
    device: HostDevice,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    error: type[DeviceError],
) -> None:
    """Whether DALI's failure says what it is or not."""
    real: Callable[..., Any] = frames.DaliDecoder

    def lose() -> None:
        device.fail = broken("require", DeviceLostError)
        raise error("DALI cannot decode this video: CUDA runtime API error 700")

    class Losing:
        batch = 1

        def __init__(self, **options: Any) -> None:
            if where == "made":
                lose()
            self._real = real(**options)

        def decode_in_place(self, clips: Any, stream: int) -> Any:
            lose()

    monkeypatch.setattr(frames, "DaliDecoder", Losing)
    with pytest.raises(DeviceLostError):
        classifier.predict(VP9)
    with pytest.raises(DeviceLostError):
        classifier.predict(VP9)


def test_a_networks_failure_is_known_for_what_it_is(
    classifier: Classifier, device: HostDevice, video: Path, networks: dict[str, HostNetwork]
) -> None:
    """TensorRT says in words of its own what failed."""

    def fail(call: str) -> None:
        if call == "enqueue":
            device.fail = broken("require", DeviceLostError)
            raise DeviceError("compiled.image does not run: an illegal memory access")

    device.fail = fail
    with pytest.raises(DeviceLostError, match="require was made to fail"):
        classifier.predict(video)


def test_it_is_no_reason_to_go_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked before one is chosen raises it, instead of naming it as something that is missing."""

    def lost(*_: object) -> None:
        raise DeviceLostError("the GPU is lost")

    here = ModuleType("_cuda")
    here.require_device = lost  # type: ignore[attr-defined]
    monkeypatch.setattr(native, "module", lambda: here)
    with pytest.raises(DeviceLostError):
        native.why_not()
    monkeypatch.setattr(loading, "find_gpu", lost)
    with pytest.raises(DeviceLostError):
        loading.why_not()


def test_closing_what_was_lost_is_no_error(classifier: Classifier, device: HostDevice, video: Path) -> None:
    classifier.predict(video)
    device.fail = broken("upload", DeviceLostError)
    with pytest.raises(DeviceLostError):
        classifier.predict(video)
    classifier.close()
    classifier.close()
