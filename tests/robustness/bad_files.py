"""Every row of the list of bad input: how the file is made, and what must come of it."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from l2l_engine.errors import L2LError, LimitError, MediaAccessError, MediaError, MediaNotFoundError
from l2l_engine.media import MediaFile
from tests.media.makers import bursts, many_tracks, media, with_cover


@dataclass(frozen=True)
class Refused:
    """An error of this kind that names the file, and whose message holds ``cause``."""

    cause: str
    kind: type[L2LError] = MediaError


@dataclass(frozen=True)
class Read:
    """Frames and windows, of which a share between ``least`` and ``most`` is valid."""

    least: float = 1.0
    most: float = 1.0
    video: bool = True
    audio: bool = True
    duration: float | None = None


Outcome = Refused | Read


@dataclass(frozen=True)
class Row:
    name: str
    make: Callable[[Path], MediaFile]
    """Makes the file, in a folder if it must lie in one."""
    outcome: Outcome

    def __str__(self) -> str:
        return self.name


@functools.cache
def good(container: str) -> bytes:
    """6 s of picture and sound, with the index at the front in MP4."""
    codecs = {
        "avi": {"video": "mpeg4", "audio": "libmp3lame"},
        "webm": {"video": "libvpx-vp9", "audio": "libopus"},
        "mpeg": {"video": "mpeg2video", "audio": "mp2"},
    }
    front = {"movflags": "faststart"} if container == "mp4" else {}
    return media(container, frames=150, container_options=front, **codecs.get(container, {}))


def content(data: bytes) -> Callable[[Path], MediaFile]:
    return lambda folder: data


def made(**options: object) -> Callable[[Path], MediaFile]:
    return lambda folder: media(**options)  # type: ignore[arg-type]


def cut(container: str, share: float) -> Callable[[Path], MediaFile]:
    return lambda folder: good(container)[: int(len(good(container)) * share)]


def blanked(container: str, since: float, to: float) -> Callable[[Path], MediaFile]:
    def make(folder: Path) -> MediaFile:
        data = bytearray(good(container))
        first, last = int(len(data) * since), int(len(data) * to)
        data[first:last] = bytes(last - first)
        return bytes(data)

    return make


def patched(
    data: Callable[[], bytes], after: bytes, offset: int, value: bytes
) -> Callable[[Path], MediaFile]:
    """A file with some bytes at an offset from the first appearance of others replaced."""

    def make(folder: Path) -> MediaFile:
        original = data()
        at = original.index(after) + offset
        return original[:at] + value + original[at + len(value) :]

    return make


def _folder(folder: Path) -> MediaFile:
    (folder / "folder.mp4").mkdir()
    return folder / "folder.mp4"


def _text(folder: Path) -> MediaFile:
    path = folder / "text.mp4"
    path.write_text("It was a dark and stormy night.\n" * 300)
    return path


def _playlist(folder: Path, text: str, name: str) -> MediaFile:
    (folder / "other.ts").write_bytes(good("mpegts"))
    path = folder / name
    path.write_text(text.format(folder / "other.ts"))
    return path


def _subtitles(folder: Path) -> MediaFile:
    path = folder / "subtitles.mp4"
    path.write_text("1\n00:00:00,000 --> 00:00:04,000\nOnly words\n\n" * 50)
    return path


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{0}\n#EXT-X-ENDLIST\n"
UNREADABLE = "not a readable media file"
MP4 = functools.partial(good, "mp4")

FILES = [
    Row("missing", lambda folder: folder / "gone.mp4", Refused("no such file", MediaNotFoundError)),
    Row("directory", _folder, Refused("not a regular file", MediaAccessError)),
    Row("zero-bytes", content(b""), Refused("empty")),
    Row("text-renamed", _text, Refused(UNREADABLE)),
    Row("subtitles-renamed", _subtitles, Refused(UNREADABLE)),
    Row("noise", content(np.random.default_rng(0).bytes(100_000)), Refused("media")),
    Row("playlist", lambda f: _playlist(f, HLS, "list.mp4"), Refused(UNREADABLE)),
    Row(
        "concat",
        lambda f: _playlist(f, "ffconcat version 1.0\nfile '{0}'\n", "list.mp4"),
        Refused(UNREADABLE),
    ),
]

# A file cut off says what is missing only where its header says how long it should be.
CUT = [
    Row("mp4-cut-10", cut("mp4", 0.1), Read(0.0, 0.3)),
    Row("mp4-cut-50", cut("mp4", 0.5), Read(0.35, 0.65)),
    Row("mp4-cut-90", cut("mp4", 0.9), Read(0.8, 0.97)),
    Row("mov-index-behind-cut-90", cut("mov", 0.9), Refused(UNREADABLE)),
    Row("mkv-cut-10", cut("matroska", 0.1), Read(0.0, 0.3)),
    Row("mkv-cut-50", cut("matroska", 0.5), Read(0.35, 0.65)),
    Row("mkv-cut-90", cut("matroska", 0.9), Read(0.8, 0.97)),
    Row("webm-cut-50", cut("webm", 0.5), Read(0.35, 0.65)),
    Row("avi-cut-50", cut("avi", 0.5), Read(duration=3.0)),
    Row("flv-cut-50", cut("flv", 0.5), Read(0.35, 0.65)),
    Row("ts-cut-50", cut("mpegts", 0.5), Read(0.9, 1.0, duration=3.0)),
    Row("ps-cut-50", cut("mpeg", 0.5), Read(0.8, 1.0)),
]
BROKEN = [
    Row("mp4-fails-late", blanked("mp4", 0.7, 1.0), Read(0.5, 0.85)),
    Row("mp4-fails-early", blanked("mp4", 0.15, 1.0), Read(0.0, 0.35)),
    Row("mp4-hole", blanked("mp4", 0.4, 0.55), Read(0.6, 0.95)),
    Row("mkv-hole", blanked("matroska", 0.4, 0.55), Read(0.5, 0.85)),
    Row("ts-hole", blanked("mpegts", 0.4, 0.55), Read(0.5, 0.97)),
    Row("avi-hole", blanked("avi", 0.4, 0.55), Read(0.5, 0.97)),
]
WAV = Read(video=False)
STREAMS = [
    Row("no-audio", made(container="mp4", audio=None), Read(audio=False)),
    Row("no-video", made(container="mp4", video=None), Read(video=False)),
    Row("wav", made(container="wav", video=None, audio="pcm_s16le"), Read(video=False)),
    Row("flac", made(container="flac", video=None, audio="flac"), Read(video=False)),
    Row("mp3", made(container="mp3", video=None, audio="libmp3lame"), Read(video=False)),
    Row("opus", made(container="ogg", video=None, audio="libopus"), Read(video=False)),
    Row("cover-art", lambda folder: with_cover(), Read(video=False)),
    Row("several-tracks", lambda folder: many_tracks(), Read()),
    Row("one-frame", made(container="mp4", audio=None, frames=1), Read(audio=False)),
    Row("a-fifth-of-a-second", made(container="mp4", video=None, seconds=0.2), Read(video=False)),
    Row("5.1", made(container="mp4", layout="5.1"), Read()),
    Row("7.1", made(container="mp4", layout="7.1"), Read()),
    Row("16-channels", made(container="wav", video=None, audio="pcm_s16le", layout="hexadecagonal"), WAV),
    Row("8-khz", made(container="mp4", sample_rate=8000), Read()),
    Row("96-khz", made(container="mp4", sample_rate=96000), Read()),
]
TIMING = [
    Row("duration-missing", made(container="matroska", container_options={"live": "1"}), Read(duration=3.0)),
    Row(
        "duration-absurd",
        patched(functools.partial(good, "matroska"), b"\x44\x89\x88", 3, struct.pack(">d", 1e13)),
        Read(duration=6.0),
    ),
    Row("mp4-duration-absurd", patched(MP4, b"mvhd", 20, b"\x7f\xff\xff\xff"), Read(duration=6.0)),
    Row("rate-varies", made(container="mp4", times=[0, 0.02, 0.9, 1.0, 2.5, 2.51]), Read()),
    Row("starts-differ", made(container="mp4", video_start=1.5, audio_start=0.25), Read()),
    Row("starts-late", made(container="mpegts", video_start=700.0, audio_start=700.3), Read(duration=3.3)),
    Row("sound-comes-and-goes", made(container="mp4", sound=bursts([0.2, 2.0])), Read()),
]
SHAPES = [
    Row("rotated", made(container="mp4", rotation=90), Read()),
    Row("odd-size", made(container="matroska", video="ffv1", size=(63, 47), frames=5), Read()),
    Row("tiny", made(container="mp4", size=(2, 2), frames=5), Read()),
    Row("strip", made(container="mp4", size=(4096, 2), frames=2), Read()),
    Row("10-bit", made(container="mp4", pix_fmt="yuv420p10le", frames=5), Read()),
    Row("4:4:4", made(container="mp4", pix_fmt="yuv444p", frames=5), Read()),
    Row("grey", made(container="mp4", pix_fmt="gray", frames=5), Read()),
    Row("rgb", made(container="matroska", video="ffv1", pix_fmt="bgr0", frames=5), Read()),
    Row("16-bit-rgb", made(container="matroska", video="ffv1", pix_fmt="gbrp16le", frames=5), Read()),
    Row("palette", made(container="mov", video="qtrle", pix_fmt="rgb24", frames=5), Read()),
    Row("size-lies", patched(MP4, b"avc1", 28, struct.pack(">HH", 60000, 60000)), Read()),
    Row("sample-rate-lies", patched(MP4, b"mp4a", 28, struct.pack(">H", 8000)), Read()),
    Row(
        "too-large",
        made(
            container="matroska", video="mjpeg", pix_fmt="yuvj420p", size=(16000, 2400), frames=1, audio=None
        ),
        Refused("limit of 36000000 pixels", LimitError),
    ),
]
ROWS = [*FILES, *CUT, *BROKEN, *STREAMS, *TIMING, *SHAPES]
