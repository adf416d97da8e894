"""Tracks that a file declares and that are not there, or not right from the start, in each container."""

from __future__ import annotations

import io
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from l2l_engine import Classifier
from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.media.ffmpeg import FFmpegSource
from tests.robustness.plans import tiny_plan
from tests.shared import shared_files

from .defects import remuxed
from .makers import bursts, media
from .plain_sound import differs, listen

CONTAINERS: dict[str, dict[str, object]] = {
    "mp4": {},
    "matroska": {"audio": "flac"},
    "webm": {"video": "libvpx-vp9", "audio": "libopus"},
    "mpegts": {},
    "flv": {},
    "avi": {"video": "mpeg4", "audio": "libmp3lame"},
    "mpeg": {"video": "mpeg2video", "audio": "mp2"},
    "nut": {"audio": "libmp3lame"},
    "asf": {"audio": "libmp3lame"},
}
TS_SOUND = ["aac", "mp2", "libmp3lame", "ac3", "eac3"]
MODES = ("auto", "exact", "keyframes", "listen")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(tiny_plan(tmp_path_factory.mktemp("plan")), threads=1)


def dead(container: str, kind: str, **options: object) -> bytes:
    """Packets of one kind hold nothing that a decoder knows."""

    def edit(number: int, packet: Packet) -> None:
        if packet.stream.type == kind:
            packet.update(b"\x55" * packet.size)

    return remuxed(media(container, **{"frames": 75} | options), container, edit)  # type: ignore[arg-type]


def without(container: str, kind: str, **options: object) -> bytes:
    """A stream of one kind is declared, and has no packets."""
    content = media(container, **{"frames": 75} | options)  # type: ignore[arg-type]
    with (
        tempfile.NamedTemporaryFile() as target,
        av.open(io.BytesIO(content)) as source,
        av.open(target.name, "w", format=container) as out,
    ):
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.size and packet.stream.type != kind:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
        out.close()
        return Path(target.name).read_bytes()


def outcomes(classifier: Classifier, content: bytes) -> set[tuple[str, str, float]]:
    """Presence of picture and sound, and coverage, in all modes: one thing, or the modes differ."""
    found = set()
    for mode in MODES:
        media = classifier.predict(content, sampling=mode).media
        assert media is not None
        assert {s.kind for s in media.streams} == {
            k for k in ("video", "audio") if getattr(media, k) == "present"
        }
        found.add((media.video, media.audio, media.coverage))
    return found


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_track_without_packets_is_absent(container: str, kind: str, classifier: Classifier) -> None:
    there, gone = ("absent", "present") if kind == "video" else ("present", "absent")
    content = without(container, kind, **CONTAINERS[container])
    assert outcomes(classifier, content) == {(there, gone, 1.0)}


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv", "mpeg"])
def test_a_track_that_cannot_be_decoded_is_absent(container: str, kind: str, classifier: Classifier) -> None:
    options = CONTAINERS[container] | (
        {"audio": "libmp3lame"} if container in {"mp4", "mpegts", "flv"} else {}
    )
    options |= {"video": "mpeg2video"} if container == "mpegts" else {}
    there, gone = ("absent", "present") if kind == "video" else ("present", "absent")
    assert outcomes(classifier, dead(container, kind, **options)) == {(there, gone, 1.0)}


def test_to_find_out_that_a_track_is_dead_takes_no_budget(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is being made by then: a budget that ends meanwhile is no error."""
    yields, looked = FFmpegSource.yields, []

    def slow(*arguments: Any, **options: Any) -> bool:
        looked.append(time.sleep(0.05))  # several ticks of the caller who waits
        return yields(*arguments, **options)

    monkeypatch.setattr(FFmpegSource, "yields", slow)
    content = without("matroska", "audio", **CONTAINERS["matroska"])
    for budget in (1, 20):
        media = classifier.predict(content, budget_ms=budget).media
        assert media is not None
        assert media.audio == "absent"
    assert looked


@pytest.mark.parametrize("codec", TS_SOUND)
def test_a_sound_whose_rate_is_never_learnt(codec: str, classifier: Classifier) -> None:
    content = dead("mpegts", "audio", audio=codec)
    assert outcomes(classifier, content) == {("present", "absent", 1.0)}


def test_nothing_at_all_is_an_error(classifier: Classifier) -> None:
    with pytest.raises(MediaError, match="decoded"):
        classifier.predict(dead("mpegts", "audio", audio="mp2", video=None))
    with pytest.raises(MediaError, match="decoded"):
        classifier.predict(dead("matroska", "video", audio=None))


@pytest.mark.parametrize("codec", TS_SOUND)
def test_sound_that_comes_late_is_heard_where_it_is(codec: str) -> None:
    content = media(
        "mpegts", frames=750, rate=25, size=(32, 32), audio=codec, audio_start=20.0, seconds=8.0,
        sound=bursts(np.arange(8) + 0.3),
    )  # fmt: skip
    sound = listen(content)
    with open_media(content) as source:
        zero = min(stream.start for stream in source.streams)
        starts = np.array([5.0, 20.2, 24.0])
        got = source.audio_windows(starts, window=16000, sample_rate=16000)
    assert got.valid.all()
    assert not got.samples[0].any()
    for start, samples in zip(starts[1:], got.samples[1:], strict=True):
        assert differs(samples, sound.window(start + zero, 16000, 16000), lag=16) < 0.05


@pytest.mark.parametrize("container", ["mp4", "matroska", "webm", "mpegts", "flv", "nut", "wtv"])
def test_sound_that_starts_after_the_picture_ended(container: str, classifier: Classifier) -> None:
    options = CONTAINERS.get(container, CONTAINERS["mpeg"])
    content = media(container, frames=75, audio_start=5.0, seconds=3.0, **options)  # type: ignore[arg-type]
    assert outcomes(classifier, content) == {("present", "present", 1.0)}


FILES = {path.name: path for path in shared_files("failing")}


@pytest.mark.skipif(not FILES, reason="the shared media files are not here")
@pytest.mark.parametrize("name", ["good-video-dead-mp2-2.68s.ts", "declared-but-absent-audio.ts"])
def test_files_that_were_found(name: str, classifier: Classifier) -> None:
    assert outcomes(classifier, Path(FILES[name]).read_bytes()) == {("present", "absent", 1.0)}


def test_a_rate_that_cannot_be(classifier: Classifier) -> None:
    """Of a header and its decoder: filters for it would take minutes to make."""
    content = media("caf", video=None, audio="alac", seconds=1.2)
    at = content.index(b"desc") + 12
    rated = content[:at] + struct.pack(">d", 16825216.0) + content[at + 8 :]
    at = rated.index(b"alac", rated.index(b"kuki")) + 36
    rated = rated[:at] + struct.pack(">I", 16825216) + rated[at + 4 :]
    with open_media(rated) as source:
        assert source.streams[0].sample_rate == 16825216
        assert not source.audio_windows(np.zeros(1), window=16000, sample_rate=16000).valid.any()
    with pytest.raises(MediaError, match="no sound could be decoded"):
        classifier.predict(rated)


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_an_edit_list_that_leaves_nothing_of_the_picture(container: str, classifier: Classifier) -> None:
    content = bytearray(media(container, frames=75))
    at = content.index(b"elst")  # after the name: version and flags, a count, then length and begin
    content[at + 16 : at + 20] = (10**7).to_bytes(4, "big")
    assert outcomes(classifier, bytes(content)) == {("absent", "present", 1.0)}


@pytest.mark.parametrize("container", ["mp4", "matroska", "nut"])
def test_a_dead_track_with_few_packets_is_absent(container: str, classifier: Classifier) -> None:
    """What fails fills little of any window, so the windows alone do not tell."""

    def edit(number: int, packet: Packet) -> None:
        if packet.stream.type == "audio":
            packet.pts = packet.dts = (packet.pts or 0) * 8
            packet.update(b"\x55" * packet.size)

    content = remuxed(media(container, frames=200, audio="libmp3lame", seconds=1.0), container, edit)
    with open_media(content) as source:  # not up to the end, where it is plain
        assert not source.audio_windows(np.arange(4.0), window=16000, sample_rate=16000).valid.any()
    assert outcomes(classifier, content) == {("present", "absent", 1.0)}
