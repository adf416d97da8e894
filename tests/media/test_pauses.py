"""A file with an index may pause in all its tracks; what damaged bytes held is lost."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.media import open_media
from tests.robustness.plans import tiny_plan

from .makers import media, read_index

PAUSE = 30
BEFORE = 2.0
KINDS: dict[str, dict[str, Any]] = {
    "matroska": {},
    "webm": {"video": "libvpx", "audio": "libopus"},
    "mp4": {},
    "mov": {},
}


def paused(container: str) -> bytes:
    """Four seconds, which pause for half a minute after two."""
    content = media(container, seconds=4.0, **KINDS[container])
    made = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(made, "w", format=container) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.pts * packet.time_base >= BEFORE:
                packet.pts += int(PAUSE / packet.time_base)
                packet.dts += int(PAUSE / packet.time_base)
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    return made.getvalue()


@pytest.mark.parametrize("container", KINDS)
def test_a_pause_stands_still_and_nothing_is_lost(
    container: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = paused(container)
    moments = np.array([0.5, 1.9, 10.0, 31.0, PAUSE + 2.5, PAUSE + 3.5])
    with open_media(content) as source:
        assert source.duration == pytest.approx(PAUSE + 4.0, abs=0.1)
        frames = source.frames(moments, short_side=64, crop=64)
        windows = source.audio_windows(moments, window=1600, sample_rate=16000)
    assert frames.valid.all()
    assert windows.valid.all()
    seen = [read_index(image) for image in frames.images]
    assert seen[2] == seen[3] >= seen[1]
    assert seen[3] < seen[4] < seen[5]
    loud = np.abs(windows.samples).max(axis=1) > 0.05
    assert loud.tolist() == [True, True, False, False, True, True]
    with Classifier(tiny_plan(tmp_path_factory.mktemp("plan")), threads=1) as classifier:
        for mode in ("auto", "exact", "keyframes", "listen"):
            found = classifier.predict(content, sampling=mode).media
            assert found is not None
            assert found.coverage == 1.0


@pytest.mark.parametrize("container", ["matroska", "webm"])
@pytest.mark.parametrize(("begin", "end"), [(0.3, 0.5), (0.5, 0.8)])
def test_what_damaged_bytes_held_is_lost(container: str, begin: float, end: float) -> None:
    content = bytearray(
        media(container, times=[n / 25 for n in range(400)], seconds=16.0, **KINDS[container])
    )
    first, last = int(len(content) * begin), int(len(content) * end)
    content[first:last] = bytes(last - first)
    moments = np.arange(0.0, 15.0, 0.5)
    with open_media(bytes(content)) as source:
        valid = source.frames(moments, short_side=64, crop=64).valid
        heard = source.audio_windows(moments, window=8000, sample_rate=16000).valid
    inside = (moments > 16 * begin + 1.5) & (moments < 16 * end - 0.5)
    outside = (moments < 16 * begin - 1.5) | (moments > 16 * end + 6.0)
    for found in (valid, heard):
        assert not found[inside].any()
        assert found[outside].all()
