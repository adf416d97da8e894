"""The check's stress and its judgement of the skimmer: over the stand-in device, and from figures alone."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import stress, timings
from l2l_engine.cuda import CudaSkimmer
from l2l_engine.errors import DeviceError
from tests.gpu.conftest import device, devices, module  # noqa: F401 - fixtures
from tests.gpu.host import HostDevice


def test_the_skimmers_figures_stand_without_peers() -> None:
    times = {"ours": 80.0, "ours in a graph": 61.0}
    alone = timings.judged(times, None, phases="not built with timers")
    assert (alone["measured"], alone["goal met"], alone["summary"]) == (True, None, "61 us")
    peers = {"PyTorch eager": 6100.0, "PyTorch in a graph": 122.0}
    beside = timings.judged(times | peers, 1e-3)
    assert beside["goal met"] is False
    assert [each["met"] for each in beside["goals"]] == [True, True, False, True]


def test_phases_of_a_build_with_timers_and_without() -> None:
    class Timed:
        def phase_times(*_: object) -> list[SimpleNamespace]:
            one = SimpleNamespace(phase="cell", worked_us=2.0, waited_us=1.0)
            return [one, one, SimpleNamespace(phase="score", worked_us=3.0, waited_us=0.5)]

    class Untimed:
        def phase_times(*_: object) -> list[SimpleNamespace]:
            raise DeviceError("this build has none")

    found = timings.phases(Timed(), ())  # type: ignore[arg-type]
    assert isinstance(found, dict)
    assert found["cell"] == pytest.approx({"worked us": 4.0, "waited us": 2.0, "times": 2.0})
    assert found["score"] == pytest.approx({"worked us": 3.0, "waited us": 0.5, "times": 1.0})
    for made in (object(), Untimed()):
        assert str(timings.phases(made, ())).startswith("not built with timers")  # type: ignore[arg-type]


@pytest.fixture
def parts(request: pytest.FixtureRequest) -> tuple[HostDevice, CudaSkimmer, list[stress.Video]]:
    from skim_cases import Dims, random_weights  # type: ignore[import-not-found]

    made, rng = request.getfixturevalue("device"), np.random.default_rng(0)
    skimmer = CudaSkimmer(random_weights(rng, Dims(12, 20, 16, 8, 3)), precision="fp32", launches="one")
    return made, skimmer, [stress.made(rng, moments, 12) for moments in (7, 11)]


def test_all_streams_run(parts: tuple[Any, ...]) -> None:
    record = stress.stressed(*parts, 0.0)
    assert (record["measured"], record["goal met"]) == (True, True), record
    assert record["runs"] == [1, 1]


def test_a_copy_that_does_not_arrive(parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(to: int, source: int, nbytes: int, stream: int) -> None:
        ctypes.memset(source, 0xEE, nbytes)

    monkeypatch.setattr(parts[0], "upload", lost)
    record = stress.stressed(*parts, 0.0)
    assert record["goal met"] is False
    assert "did not arrive" in record["reason"]


def test_an_answer_that_differs(parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made, skimmer, videos = parts
    real, calm = skimmer.run, len(videos)

    def run(*arguments: Any, **options: Any) -> Any:
        nonlocal calm
        calm -= 1
        if calm < 0:
            arguments = (arguments[0] * 1.01, *arguments[1:])
        return real(*arguments, **options)

    monkeypatch.setattr(skimmer, "run", run)
    record = stress.stressed(made, skimmer, videos, 0.0)
    assert record["goal met"] is False
    assert "answers otherwise" in record["reason"]
