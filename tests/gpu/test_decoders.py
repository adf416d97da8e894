"""Which decoder a file's frames come from, and where they lie when the network takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from l2l_engine import Classifier, DeviceError
from l2l_engine.gpu import frames
from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.gpu.host import HostDevice, HostNetwork
from tests.gpu.videos import VP9
from tests.media.makers import media

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]


def test_frames_of_the_devices_decoder(classifier: Classifier, on_cpu: Classifier, same: Same) -> None:
    for _ in range(2):
        got = classifier.predict(VP9, sampling="exact")
        assert got.decoder == "dali"
        # Its resize differs a little from FFmpeg's.
        same(got, on_cpu.predict(VP9, sampling="exact"), tolerance=2e-2)


def test_full_batches_go_from_decoder_to_network_where_they_lie(
    plan_file: Path, networks: dict[str, HostNetwork], device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    real = frames.DaliDecoder

    class Watched:
        def __init__(self, **options: Any) -> None:
            self._decoder = real(**options)
            self.batch = self._decoder.batch

        def decode_in_place(self, clips: Any, stream: int) -> Any:
            assert stream in device.streams
            made = self._decoder.decode_in_place(clips, stream)
            decoded.extend(made.pointers)
            return made

    monkeypatch.setattr(frames, "DaliDecoder", Watched)
    video = media("webm", video="libvpx-vp9", audio=None, frames=1200, rate=10, video_options={"g": "300"})
    document = replace(DOCUMENT, sampling=replace(DOCUMENT.sampling, factor=1))
    path = plan_file.with_name("dense.plan")
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, document, graphs=graphs, skim=random_skim())
    with Classifier(path, device="cuda", threads=1) as classifier:
        got = classifier.predict(video, sampling="exact")
    assert got.media is not None
    assert got.media.image_knots > 64
    network = networks["image"]
    full = [pointer for pointer, size in zip(network.pointers, network.sizes, strict=True) if size == 32]
    assert full
    assert set(full) <= set(decoded)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: media("mp4", frames=75), id="codec"),
        pytest.param(lambda: media("asf", video="msmpeg4", audio="libmp3lame", frames=75), id="format"),
        pytest.param(
            lambda: media("matroska", video="mjpeg", pix_fmt="yuvj420p", frames=75, rotation=90), id="turned"
        ),
        pytest.param(lambda: media("matroska", video="mjpeg", pix_fmt="yuvj444p", frames=75), id="pixels"),
        pytest.param(
            lambda: media("matroska", video="mjpeg", pix_fmt="yuvj420p", frames=20, size=(2048, 16)),
            id="strip",
        ),
    ],
)
def test_what_the_devices_decoder_does_not_take_is_decoded_on_the_cpu(
    classifier: Classifier, on_cpu: Classifier, content: Callable[[], bytes], same: Same
) -> None:
    file = content()
    got = classifier.predict(file)
    same(got, on_cpu.predict(file))
    assert got.decoder == "pyav"


def test_a_decoder_that_gives_up_half_way(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    on_cpu: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    same: Same,
) -> None:
    calls = []
    real = frames.DaliDecoder

    class GivesUp(real.func):  # type: ignore[misc, name-defined]
        def decode_in_place(self, clips: Any, stream: int) -> Any:
            calls.append(len(clips))
            if len(calls) > 1:
                raise DeviceError("no more")
            return super().decode_in_place(clips, stream)

    monkeypatch.setattr(frames, "DaliDecoder", lambda **options: GivesUp(device="cpu", batch=2, **options))
    with Classifier(plan_file, device="cuda", threads=1) as classifier:
        got = classifier.predict(VP9, sampling="exact")
    assert got.decoder == "dali, pyav"
    assert len(calls) == 2
    same(got, on_cpu.predict(VP9, sampling="exact"), tolerance=2e-2)


def test_without_dali_it_says_so_and_goes_on(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    on_cpu: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    same: Same,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with Classifier(plan_file, device="cuda") as classifier:
        got = classifier.predict(VP9)
    assert "decoded on the CPU" in caplog.text
    assert "install nvidia-dali" in caplog.text
    assert got.decoder == "pyav"
    same(got, on_cpu.predict(VP9))


def test_a_decoder_that_cannot_be_made_is_not_tried_again(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = []

    def make(**options: Any) -> None:
        tries.append(options)
        raise DeviceError("no NVDEC here")

    monkeypatch.setattr(frames, "DaliDecoder", make)
    with Classifier(plan_file, device="cuda", threads=1) as classifier:
        assert [classifier.predict(VP9).decoder for _ in range(3)] == ["pyav"] * 3
    assert len(tries) == 1
    assert caplog.text.count("no NVDEC here") == 1
