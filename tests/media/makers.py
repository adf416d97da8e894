"""Small media files made on the spot, whose frames say which one they are and whose sound says when it is.

Frame ``i`` shows the 16 bits of ``i`` as a 4 x 4 board of black and white cells over the centre square that
is cropped from it, so a test reads back *which* frame it was given. Sound is silence with tone bursts at
known moments.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder greets on standard error, whatever FFmpeg's log level

RATE = 25
TONE_HZ = 1000.0

Sound = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def board(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """The picture of frame ``index``: uint8 [height, width, 3]; grey outside the cropped square."""
    image = np.full((height, width, 3), 128, np.uint8)
    side = min(width, height) * 112 // 128
    top, left = (height - side) // 2, (width - side) // 2
    for cell in range(16):
        row, column = divmod(cell, 4)
        value = 235 if index >> cell & 1 else 16
        rows = slice(top + row * side // 4, top + (row + 1) * side // 4)
        columns = slice(left + column * side // 4, left + (column + 1) * side // 4)
        image[rows, columns] = value
    return image


def read_index(image: NDArray[np.uint8]) -> int:
    """Which frame a decoded picture (uint8 [112, 112, 3]) is; fails where it is none."""
    side = image.shape[0] // 4
    index = 0
    for cell in range(16):
        row, column = divmod(cell, 4)
        inner = image[row * side + 6 : (row + 1) * side - 6, column * side + 6 : (column + 1) * side - 6]
        mean = float(inner.mean())
        assert mean < 90 or mean > 165, f"cell {cell} is neither black nor white ({mean:.0f})"
        index |= (mean > 128) << cell
    return index


def bursts(moments: Iterable[float], length: float = 0.1) -> Sound:
    """A tone for ``length`` seconds from each of ``moments`` (seconds from the start of the sound)."""
    starts = list(moments)

    def sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
        on = np.zeros(times.shape, bool)
        for start in starts:
            on |= (times >= start) & (times < start + length)
        return 0.5 * np.sin(2 * np.pi * TONE_HZ * times) * on

    return sound


def tone(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tone without end."""
    return 0.5 * np.sin(2 * np.pi * TONE_HZ * times)


def media(
    container: str = "mp4",
    *,
    video: str | None = "libx264",
    audio: str | None = "aac",
    frames: int = 75,
    rate: int = RATE,
    times: Sequence[float] | None = None,
    indices: Sequence[int] | None = None,
    size: tuple[int, int] = (128, 128),
    pix_fmt: str = "yuv420p",
    video_options: dict[str, str] | None = None,
    video_start: float = 0.0,
    rotation: int = 0,
    seconds: float | None = None,
    sample_rate: int = 48000,
    layout: str = "stereo",
    sound: Sound = tone,
    audio_start: float = 0.0,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """A media file's content.

    Args:
        times: Seconds at which frames are shown, from the start of the video; evenly spaced by default.
        indices: The number each frame shows; 0, 1, … by default.
        video_start, audio_start: Seconds on the container's clock.
        seconds: Length of the sound; that of the video by default.
    """
    shown = [i / rate for i in range(frames)] if times is None else list(times)
    length = (max(shown) + 1 / rate if video else 1.0) if seconds is None else seconds
    # By name, not into memory: FFmpeg opens the file a second time to move an MP4's index to its front.
    with (
        _scheduled_as_before(),
        tempfile.NamedTemporaryFile() as target,
        av.open(target.name, "w", format=container, options=container_options or {}) as out,
    ):
        packets: list[tuple[float, Packet]] = []
        streams = []
        if video:
            stream = out.add_stream(video, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = pix_fmt
            # MPEG-1 and -2 know a few frame rates and nothing finer.
            base = Fraction(1, rate) if video.startswith(("mpeg", "rv")) else Fraction(1, 12800)
            stream.codec_context.time_base = base
            stream.codec_context.thread_count = 1
            stream.options = _video_options(video) | (video_options or {})
            if rotation:
                stream.set_display_rotation(rotation)
            streams.append(lambda: _encode_video(stream, shown, indices, size, video_start))
        if audio:
            track = out.add_stream(audio, rate=sample_rate, layout=layout)
            streams.append(lambda: _encode_audio(track, length, sound, audio_start))
        for encode in streams:
            packets += encode()
        for _, packet in sorted(packets, key=lambda timed: timed[0]):
            out.mux(packet)
        out.close()
        return Path(target.name).read_bytes()


@contextlib.contextmanager
def _scheduled_as_before() -> Iterator[None]:
    """As root, SVT-AV1 makes the thread that opens it a real-time one, for good: others starve."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def _video_options(codec: str) -> dict[str, str]:
    if codec == "libx264":
        return {"preset": "veryfast", "crf": "24", "g": "25", "sc_threshold": "0", "bf": "2"}
    if codec == "libvpx-vp9":
        return {"deadline": "realtime", "cpu-used": "8", "g": "25", "crf": "30", "b": "0"}
    if codec == "libvpx":
        return {"deadline": "realtime", "cpu-used": "8", "g": "25", "b": "800k"}
    return {"g": "12", "b": "2000k"}


def _encode_video(
    stream: av.VideoStream,
    shown: Sequence[float],
    indices: Sequence[int] | None,
    size: tuple[int, int],
    start: float,
) -> list[tuple[float, Packet]]:
    base = stream.codec_context.time_base
    packets = []
    for i, moment in enumerate(shown):
        picture = board(i if indices is None else indices[i], *size)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = round((start + moment) / base), base
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(float(packet.dts * packet.time_base), packet) for packet in packets]


def _encode_audio(
    stream: av.AudioStream, seconds: float, sound: Sound, start: float
) -> list[tuple[float, Packet]]:
    rate, channels = stream.rate, stream.layout.nb_channels
    times = np.arange(round(seconds * rate)) / rate
    samples = sound(times).astype(np.float32)
    resampler = av.AudioResampler(stream.codec_context.format, stream.layout, rate)
    step = stream.codec_context.frame_size or 1024
    packets = []
    for at in range(0, len(samples), step):
        part = np.repeat(samples[at : at + step], channels)[None]
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout=stream.layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * rate) + at
        for ready in resampler.resample(frame):
            packets += stream.encode(ready)
    packets += stream.encode(None)
    return [(float((packet.dts or 0) * packet.time_base), packet) for packet in packets]


def with_cover() -> bytes:
    """An MP3 file with a picture on its cover, which FFmpeg calls a video stream."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp3") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        track = out.add_stream("libmp3lame", rate=44100, layout="mono")
        for _, packet in _encode_audio(track, 1.0, tone, 0.0):
            out.mux(packet)
        frame = av.VideoFrame.from_ndarray(board(5, 64, 64), format="rgb24").reformat(format="yuvj420p")
        for packet in [*cover.encode(frame), *cover.encode(None)]:
            out.mux(packet)
    return target.getvalue()


def many_tracks() -> bytes:
    """Two videos and three sounds; the second of each (64 x 64; 32 kHz) is the default one."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as out:
        packets: list[tuple[float, Packet]] = []
        tracks = []
        for side in (128, 64):
            stream = out.add_stream("libx264", rate=RATE)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, RATE)
            tracks.append((stream, side))
        sounds = [out.add_stream("aac", rate=rate, layout="mono") for rate in (48000, 32000, 44100)]
        default = av.stream.Disposition.default
        for stream in (*(stream for stream, _ in tracks), *sounds):
            stream.disposition = default if stream in (tracks[1][0], sounds[1]) else av.stream.Disposition(0)
        for stream, side in tracks:
            packets += _encode_video(stream, [i / RATE for i in range(10)], None, (side, side), 0.0)
        for sound in sounds:
            packets += _encode_audio(sound, 0.4, tone, 0.0)
        for _, packet in sorted(packets, key=lambda timed: timed[0]):
            out.mux(packet)
    return target.getvalue()
