"""Where the time of a key frame goes: FFmpeg by the frame, with the loop filter and without it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.stream import Discard, Stream

from l2l_engine.media.picture import PictureMaker

MOST = 60
"""Key frames looked at, evenly spread over the file."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU-seconds of one thread, and what the network is shown.

    Attributes:
        decode, picture: float64 [K], of each frame: to decode it, and to make it small.
        sizes: int64 [K], bytes of each frame.
        pictures: uint8 [K, crop, crop, 3].
    """

    decode: np.ndarray
    picture: np.ndarray
    sizes: np.ndarray
    pictures: np.ndarray

    def by_size(self) -> tuple[float, float]:
        """Seconds a byte of a frame, and seconds a frame besides: least squares over the frames."""
        table = np.stack([self.sizes, np.ones(len(self.sizes))], axis=1)
        byte, frame = np.linalg.lstsq(table, self.decode, rcond=None)[0]
        return float(byte), float(frame)


class KeyFrames:
    """Some key frames of a file, their packets read beforehand.

    Args:
        path: A file with video.
        short_side, crop: Of the pictures.
    """

    def __init__(self, path: Path, short_side: int, crop: int) -> None:
        self._path, self._make = path, PictureMaker(short_side, crop)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for other in container.streams:
                other.discard = Discard.default if other.index == stream.index else Discard.all
            self._keys = [p.pts for p in container.demux(stream) if p.is_keyframe and p.pts is not None]
        self._keys = self._keys[:: max(1, len(self._keys) // MOST)][:MOST]

    def __len__(self) -> int:
        return len(self._keys)

    def decode(self, *, loop_filter: bool) -> Spent:
        """Decode each alone, and make it small."""
        seconds, sizes, pictures = [], [], []
        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context
            codec.thread_count = 1
            codec.options = {"skip_loop_filter": "default" if loop_filter else "all"}
            for key in self._keys:
                container.seek(key, stream=stream)
                packet: Packet[Stream] = next(container.demux(stream))
                begin = time.thread_time()
                frames = [*codec.decode(packet), *codec.decode(None)]
                between = time.thread_time()
                pictures.append(self._make(frames[0]))
                seconds.append((between - begin, time.thread_time() - between))
                sizes.append(packet.size)
                codec.flush_buffers()
        decode, picture = np.array(seconds).T
        return Spent(decode, picture, np.array(sizes), np.stack(pictures))
