"""A file decoded in parts, each by a reader of its own, gives what one reader gives."""

from __future__ import annotations

import functools
import gzip
import io
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.media import Frames, MediaSource, open_media
from l2l_engine.media.mono import mono
from l2l_engine.run.chunks import Chunk, video_chunks
from l2l_engine.run.collector import Collector
from l2l_engine.run.host import HostStore
from l2l_engine.run.watch import Stage

from .makers import media, tone

SECONDS = 12
OPEN_GOP = {"bf": "3", "x264-params": "open-gop=1:keyint=25:min-keyint=25:scenecut=0"}
FILES: dict[str, dict[str, object]] = {
    "mp4": {},
    "b-frames": {"video_options": {"bf": "3", "g": "40", "b_strategy": "0"}},
    "open-gop": {"video_options": OPEN_GOP},
    "start": {"video_start": 1.5, "audio_start": 0.5},
    "variable": {"times": np.cumsum(np.random.default_rng(5).choice([0.02, 0.04, 0.2, 0.7], 75)).tolist()},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "video": "libvpx-vp9", "audio": "libopus"},
    "fragments": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "ts": {"container": "mpegts"},
    "one-group": {"video_options": {"g": "1000"}},
}


@functools.cache
def content(name: str) -> bytes:
    if name == "damaged":
        data = bytearray(content("b-frames"))
        begin = data.index(b"mdat")
        rng = np.random.default_rng(2)
        for at in rng.integers(begin + 2000, len(data) - 20_000, 12):
            data[at : at + 8] = rng.bytes(8)
        return bytes(data)
    if name == "cut":
        whole = media("mp4", frames=300, container_options={"movflags": "faststart"})
        return whole[: len(whole) * 2 // 3]
    return media(**{"frames": 25 * SECONDS, "size": (64, 64)} | FILES[name])


def in_parts(source: MediaSource, knots: NDArray[np.float64], *, apart: bool) -> Frames:
    """All parts, from the last to the first; each by a reader of its own, or all by one."""
    parts: list[Chunk] = video_chunks(None, knots, source.groups())  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate([part.knots for part in parts]), knots)
    done = []
    for part in reversed(parts):
        reader = source.another() if apart else source
        assert reader is not None
        done.append(reader.frames(part.knots, short_side=128, crop=112))
        if apart:
            reader.close()
    done.reverse()
    images, valid, shown = (
        np.concatenate([getattr(d, name) for d in done]) for name in ("images", "valid", "shown_at")
    )
    return Frames(images, valid, shown, sum(d.frames_decoded for d in done))


@pytest.mark.parametrize("step", [0.3, 2.6])
@pytest.mark.parametrize("name", [*FILES, "damaged", "cut"])
def test_parts_of_the_picture_are_the_whole(name: str, step: float) -> None:
    with open_media(content(name)) as source:
        knots = np.arange(0, source.duration, step)
        whole = source.frames(knots, short_side=128, crop=112)
        assert whole.valid.sum() > len(knots) / 4
        for apart in (True, False):
            parts = in_parts(source, knots, apart=apart)
            np.testing.assert_array_equal(parts.valid, whole.valid)
            np.testing.assert_array_equal(parts.shown_at, whole.shown_at)
            np.testing.assert_array_equal(parts.images, whole.images)
            if name != "cut":  # there, each part sees for itself that nothing more comes
                assert parts.frames_decoded <= whole.frames_decoded + 4


def test_a_long_video_has_many_parts() -> None:
    with open_media(content("mp4")) as source:
        knots = np.arange(0, SECONDS, 0.3)
        parts = video_chunks(None, knots, source.groups())  # type: ignore[arg-type]
        assert len(parts) > 3
        keys = source.key_times()
        for part in parts[1:]:  # none begins inside a group
            assert (np.searchsorted(keys, part.knots[0] + 1e-6, "right") - 1) > (
                np.searchsorted(keys, parts[parts.index(part) - 1].knots[-1] + 1e-6, "right") - 1
            )


@pytest.mark.parametrize("name", [*FILES, "cut"])
def test_an_index_is_asked_only_where_it_knows_all_key_frames(name: str) -> None:
    with av.open(io.BytesIO(content(name))) as container:
        stream = container.streams.video[0]
        base, first = stream.time_base, min(s.start_time * s.time_base for s in container.streams)
        keys = [float(p.pts * base - first) for p in container.demux(stream) if p.size and p.is_keyframe]
    with open_media(content(name)) as source:
        groups = source.groups()
        assert (groups is None) == (name in {"ts", "fragments"})
        if name != "cut":  # an index knows key frames, too, that were cut off
            np.testing.assert_allclose(source.key_times(), keys, atol=2e-3)


def decoded(name: str, rate: int) -> tuple[NDArray[np.float32], float]:
    """The whole sound, decoded from first to last in order; and when its first sample is heard."""
    parts = []
    with av.open(io.BytesIO(content(name))) as container:
        stream = container.streams.audio[0]
        zero = min(s.start_time * s.time_base for s in container.streams)
        for frame in container.decode(stream):
            assert frame.sample_rate == rate
            parts.append((float(frame.pts * stream.time_base - zero), mono(frame)))
    begin = parts[0][0]
    out = np.zeros(round((parts[-1][0] - begin) * rate) + len(parts[-1][1]), np.float32)
    for at, samples in parts:
        first = round((at - begin) * rate)
        out[first : first + len(samples)] = samples
    return out, begin


@pytest.mark.parametrize("name", ["mp4", "start", "b-frames", "fragments", "ts"])
@pytest.mark.parametrize("step", [0.7, 1.1, 3.7])
def test_windows_are_the_very_samples_of_the_whole_track(name: str, step: float) -> None:
    """AAC has settled where a window begins, however the decoder came there."""
    rate = 48000  # the track's own: nothing is resampled
    whole, begin = decoded(name, rate)
    with open_media(content(name)) as source:
        # From where on the encoder is done with the onset: there it asks the decoder to make up noise.
        starts = np.arange(1.3, SECONDS - 1.5, step)
        got = source.audio_windows(starts, window=rate, sample_rate=rate)
    assert got.valid.all()
    for start, samples in zip(starts, got.samples, strict=True):
        first = round((start - begin) * rate)
        np.testing.assert_array_equal(samples, np.clip(whole[max(0, first) : first + rate], -1, 1)[-rate:])


def test_windows_far_apart_are_all_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.media import demux

    sound = media("mp4", video=None, seconds=120.0, sound=tone)
    read = 0
    packets = demux.Demuxer.packets

    def counted(self: demux.Demuxer, *args: object) -> object:
        nonlocal read
        for packet in packets(self, *args):  # type: ignore[arg-type]
            read += 1
            yield packet

    monkeypatch.setattr(demux.Demuxer, "packets", counted)
    with open_media(sound) as source:
        read = 0
        assert source.audio_windows(np.arange(0.0, 119, 10), window=16000, sample_rate=16000).valid.all()
    assert read < 12 * 56  # of 5600: 47 packets hold a second, and a few come before


def test_a_path_replaced_meanwhile_is_still_the_file_that_was_opened(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "video.mp4"
    path.write_bytes(content("mp4"))
    with open_media(path) as source:
        path.unlink()
        path.write_bytes(b"something else")
        other = source.another()
        assert other is not None
        with other:
            assert other.streams == source.streams
            assert other.frames(np.array([3.0]), short_side=128, crop=112).valid.all()


def test_a_file_object_has_as_many_readers_as_it_has_positions(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content("mp4"))
    written = (tmp_path / "b.mp4").open("w+b")
    written.write(content("mp4"))  # the last of it lies in a buffer
    named = tempfile.NamedTemporaryFile()  # noqa: SIM115
    named.write(content("mp4"))
    for file in (path.open("rb"), path.open("rb", buffering=0), io.BytesIO(content("mp4")), written, named):
        with file:
            file.seek(7)
            with open_media(file) as source:  # type: ignore[arg-type]
                assert source.reopens
                other = source.another()
                assert other is not None
                one, two = (s.frames(np.array([1.0]), short_side=128, crop=112) for s in (source, other))
                assert np.array_equal(one.images, two.images)
                assert source.bytes_read >= len(content("mp4")) / 2
                other.close()
            assert not file.closed
    packed = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content("mp4"))))
    with packed, open_media(packed) as source:  # type: ignore[arg-type]
        assert not source.reopens
        assert source.another() is None
    with open_media(content("mp4")) as source:
        assert source.reopens


def test_a_collector_hands_out_equal_batches() -> None:
    class Count:
        features = 1

        def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            sizes.append(len(batch))
            return batch.reshape(len(batch), 1).astype(np.float32)

    sizes: list[int] = []
    store = HostStore(Count().encode, 8)
    collector = Collector(Stage.FRAMES, store)
    for value in (7, 3, 5, 1, 6, 2, 4, 0, 9, 8, 12):
        collector.add(float(value), np.array([value]))
    collector.expect(11)
    assert not collector.batch(12)
    while batch := collector.batch(1):
        collector.encode(batch)
    collector.lose(np.array([10.0, 11.0]))
    bank = store.bank(collector.collected())
    assert bank is not None
    assert sizes == [6, 5]
    np.testing.assert_array_equal(bank.features[:, 0], bank.times)
    assert (collector.decoded, collector.asked) == (11, 13)
    np.testing.assert_array_equal(collector.new(np.arange(14.0)), [13.0])
