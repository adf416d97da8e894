"""Writes pictures and sound as an H.264 + AAC MP4 file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import av
import numpy as np
from av.container import OutputContainer

from training.data.draw import Encoding
from training.data.render import FrameRenderer, Image, render_audio
from training.data.scene import Scene
from training.data.sounds import Wave
from training.data.whole import whole

AAC_FRAME = 1024
"""Samples of an AAC frame, and how many of silence the encoder puts before the first."""

Timed: TypeAlias = "Iterator[tuple[float, Sequence[av.Packet[Any]]]]"
"""Packets with the time in the file up to which their stream is written."""


class Footage(Protocol):
    """What a video shows and sounds like; lasts ``duration`` seconds."""

    @property
    def duration(self) -> float: ...

    def frames(self, width: int, height: int) -> Callable[[float], Image]:
        """A function from seconds to the uint8 [height, width, 3] picture shown then."""

    def sound(self, rate: int) -> Wave:
        """The whole sound track, float32 mono in [-1, 1], at ``rate`` Hz."""


class SceneFootage:
    """A scene of AV-Kinetic, rendered."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def duration(self) -> float:
        return self._scene.duration

    def frames(self, width: int, height: int) -> Callable[[float], Image]:
        return FrameRenderer(self._scene, width, height).frame

    def sound(self, rate: int) -> Wave:
        return render_audio(self._scene, rate)


def write_video(scene: Scene, encoding: Encoding, path: Path) -> None:
    """Encodes ``scene`` into ``path``; a file appears under that name only when it is complete."""
    write_footage(SceneFootage(scene), encoding, path)


def write_footage(footage: Footage, encoding: Encoding, path: Path) -> None:
    """Encodes ``footage`` into ``path``; a file appears under that name only when it is complete."""
    # Without bitexact the muxer writes its version, and the same seed would give other bytes elsewhere.
    options = {"fflags": "+bitexact"}
    with whole(path) as unfinished, av.open(str(unfinished), "w", format="mp4", options=options) as container:
        streams = [_video_packets(footage, encoding, container)]
        if encoding.sample_rate is not None:
            streams.append(_audio_packets(footage, encoding, encoding.sample_rate, container))
        _interleave(container, streams)


def _interleave(container: OutputContainer, streams: list[Timed]) -> None:
    """Muxes whichever stream lags behind, as players and seeks expect."""
    waiting = {stream: next(stream) for stream in streams}
    while waiting:
        behind = min(waiting, key=lambda stream: waiting[stream][0])
        container.mux(waiting[behind][1])
        following = next(behind, None)
        if following is None:
            del waiting[behind]
        else:
            waiting[behind] = following


def _video_packets(footage: Footage, encoding: Encoding, container: OutputContainer) -> Timed:
    options = {
        "preset": encoding.preset,
        "crf": str(encoding.crf),
        "g": str(encoding.gop),
        "bf": str(encoding.b_frames),
        # One thread: several videos are encoded at once, and the bits do not depend on the machine.
        "threads": "1",
        # Where there are B-frames, libx264's macroblock tree does not give the same bits twice.
        "mbtree": "0",
    }
    stream = container.add_stream("libx264", rate=encoding.rate, options=options)
    stream.width, stream.height, stream.pix_fmt = encoding.width, encoding.height, "yuv420p"
    tick = 1 / encoding.rate
    stream.codec_context.time_base = tick
    return _encoded_video(footage, encoding, stream, tick)


def _encoded_video(footage: Footage, encoding: Encoding, stream: av.VideoStream, tick: Fraction) -> Timed:
    picture = footage.frames(encoding.width, encoding.height)
    number = encoding.video_delay
    while (time := float(number * tick)) < footage.duration:
        frame = av.VideoFrame.from_ndarray(picture(time), format="rgb24")
        frame.pts, frame.time_base = encoding.start_frames + number, tick
        yield time, stream.encode(frame)
        number += 1
    yield footage.duration, stream.encode()


def _audio_packets(footage: Footage, encoding: Encoding, rate: int, container: OutputContainer) -> Timed:
    layout = "stereo" if encoding.channels == 2 else "mono"
    stream = container.add_stream("aac", rate=rate, layout=layout)
    stream.codec_context.time_base = Fraction(1, rate)
    return _encoded_audio(footage, encoding, rate, stream)


def _encoded_audio(footage: Footage, encoding: Encoding, rate: int, stream: av.AudioStream) -> Timed:
    track = footage.sound(rate)
    loudness = np.array([[1.0], [encoding.pan]], np.float32)[: encoding.channels]
    start = round(encoding.start_frames / encoding.rate * rate)
    first = encoding.audio_delay
    if start + first > 0:
        # The encoder's silence comes before the first sample. At 0 the file says to skip it; later it would
        # be played, and the stream and with it the clock would begin too early.
        first += AAC_FRAME
    for at in range(first, len(track), AAC_FRAME):
        samples = np.ascontiguousarray(loudness * track[at : at + AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, start + at, Fraction(1, rate)
        yield at / rate, stream.encode(frame)
    yield math.inf, stream.encode()
