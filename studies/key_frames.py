"""Where the time of a key frame goes: FFmpeg by the frame, with the loop filter and without it.

    python -m studies.key_frames --output results/key-frames.json

What would it be worth not to filter key frames, which is an option of the decoder, and what would it cost?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.stream import Discard, Stream
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.harness import OURS, Case, Contestant, interleave
from benchmarks.media import files
from l2l_engine.media.picture import PictureMaker

FILES = ("120s-360p.mp4", "5min-720p.mp4")
MOST = 60
"""Key frames looked at, evenly spread over the file."""
ROUNDS = 5
UNFILTERED, SMALL = "without the loop filter", "made small"


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU-seconds of one thread, and what the network is shown.

    Attributes:
        decode, picture: float64 [K], of each frame: to decode it, and to make it small.
        sizes: int64 [K], bytes of each frame.
        pictures: uint8 [K, crop, crop, 3].
    """

    decode: NDArray[np.float64]
    picture: NDArray[np.float64]
    sizes: NDArray[np.int64]
    pictures: NDArray[np.uint8]

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


def measure(path: Path, rounds: int = ROUNDS) -> Case:
    """Mean CPU-seconds of a file's key frames: to decode them, without the filter, and to make them small.

    Raises:
        RuntimeError: If the decoder did not take the option.
    """
    some = KeyFrames(path, short_side=128, crop=112)
    filtered, plainly = some.decode(loop_filter=True), some.decode(loop_filter=False)
    difference = np.abs(filtered.pictures.astype(int) - plainly.pictures.astype(int))
    if not difference.any():
        raise RuntimeError(f"{path}: the pictures are the same without the loop filter")
    contestants = {
        OURS: Contestant(lambda: float(some.decode(loop_filter=True).decode.mean())),
        UNFILTERED: Contestant(lambda: float(some.decode(loop_filter=False).decode.mean())),
        SMALL: Contestant(lambda: float(some.decode(loop_filter=True).picture.mean())),
    }
    case = Case("key frames", path.name, samples=interleave(contestants, rounds))
    case.within(UNFILTERED)
    byte, frame = filtered.by_size()
    case.details["key_frames"] = {
        "mean difference of 255 without the loop filter": round(float(difference.mean()), 2),
        "largest": int(difference.max()),
        "kilobytes each": round(filtered.sizes.mean() / 1e3, 1),
        "ms a kilobyte": round(1e6 * byte, 3),
        "ms a frame besides": round(1e3 * frame, 2),
    }
    return case


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m studies.key_frames")
    parser.add_argument("--files", nargs="+", choices=files.NAMES, default=FILES, help="generated files")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="in which the contestants take turns")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to merge the results into")
    options = parser.parse_args(words)
    cases = [measure(files.file(name), options.rounds) for name in options.files]
    results.write(cases, options.output)
    print(json.dumps({case.name: case.to_dict() for case in cases}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
