"""The files by name, made when first asked for and kept in an ignored folder.

``python -m benchmarks.media.files`` makes them all and prints what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.media import FOLDER, encode, remux

EDITION = 1
"""Counted up when the drawing changes."""

# libvpx in one pass spends twice what it is told.
_UNIQUE = {
    "120s-360p.mp4": encode.Recipe(120, 640, 360, gop=250, video_bits=300_000, seed=1),
    "150s-720p.mp4": encode.Recipe(150, 1280, 720, gop=48, video_bits=700_000, seed=2),
    "60s-360p.webm": encode.Recipe(60, 640, 360, gop=150, video_bits=135_000, codec="libvpx-vp9", seed=3),
    "8s-90p.mp4": encode.Recipe(8, 160, 90, gop=60, video_bits=60_000, seed=4),
}
_LOOPED = {
    "120s-360p.webm": ("60s-360p.webm", 60.0, 2),
    "5min-720p.mp4": ("150s-720p.mp4", 150.0, 2),
    "10min-720p.mp4": ("150s-720p.mp4", 150.0, 4),
    "1h-360p.mp4": ("120s-360p.mp4", 120.0, 30),
    "3h-360p.mp4": ("120s-360p.mp4", 120.0, 90),
    "24s-90p.mp4": ("8s-90p.mp4", 8.0, 3),
}
NAMES = (*_UNIQUE, *_LOOPED)
"""All files but the pieces."""
PIECES = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file turned out to be; bit rates in kbit/s, times in seconds."""

    name: str
    seconds: float
    width: int
    height: int
    rate: float
    video: str
    audio: str
    video_kbps: float
    audio_kbps: float
    key_every: float
    frames: int
    megabytes: float


def file(name: str) -> Path:
    """Return the path of one of ``NAMES``, and make the file if it is missing."""
    if name in _LOOPED:
        source, seconds, times = _LOOPED[name]
        whole = file(source)
        return _made(name, (_UNIQUE[source], times), lambda path: remux.loop(whole, seconds, times, path))
    return _made(name, _UNIQUE[name], lambda path: encode.write(_UNIQUE[name], path))


def pieces(source: str, groups: int) -> list[Path]:
    """Return 32 files of ``groups`` groups of pictures each, cut from a file of ``_UNIQUE``."""
    recipe = _UNIQUE[source]
    group = recipe.gop / recipe.rate
    places = max(1, int(recipe.seconds / group) - groups + 1)
    whole = file(source)

    def piece(number: int) -> Path:
        begin = number % places * group
        end = begin + groups * group
        name = f"piece-{number:02}-{source}"
        return _made(name, (recipe, begin, end), lambda path: remux.cut(whole, begin, end, path))

    return [piece(number) for number in range(PIECES)]


def facts(path: Path) -> Facts:
    """Measure a file by its packets."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        sizes = {video.index: 0, audio.index: 0}
        keys = frames = 0
        for packet in container.demux():
            if packet.size and packet.stream.index in sizes:
                sizes[packet.stream.index] += packet.size
                frames += packet.stream is video
                keys += packet.stream is video and packet.is_keyframe
        seconds = float(container.duration or 0) / 1e6
        return Facts(
            name=path.name,
            seconds=round(seconds, 2),
            width=video.width,
            height=video.height,
            rate=float(video.average_rate or 0),
            video=video.codec_context.codec.canonical_name,
            audio=audio.codec_context.codec.canonical_name,
            video_kbps=round(8e-3 * sizes[video.index] / seconds, 1),
            audio_kbps=round(8e-3 * sizes[audio.index] / seconds, 1),
            key_every=round(seconds / max(1, keys), 2),
            frames=frames,
            megabytes=round(path.stat().st_size / 1e6, 1),
        )


def _made(name: str, recipe: object, make: Callable[[Path], None]) -> Path:
    """Return the file of this recipe, made if it is missing: none of an older recipe is timed."""
    encoding = encode.VP9 if name.endswith("webm") else encode.H264
    version = hashlib.sha256(repr((EDITION, recipe, encoding)).encode()).hexdigest()[:8]
    path = FOLDER / "files" / version / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"part-{name}")
        make(part)
        part.replace(path)
    return path


if __name__ == "__main__":
    for name in NAMES:
        print(facts(file(name)), flush=True)
    pieces("120s-360p.mp4", 4)
