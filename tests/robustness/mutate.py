"""Seeded damage: the same seed makes the same damaged file everywhere."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

from tests.media.makers import media

SMALL = {"frames": 30, "size": (64, 48), "seconds": 1.2, "rate": 25}
SOUND = SMALL | {"video": None}
SEEDS: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: media("mp4", **SMALL),
    "mp4-front": lambda: media("mp4", container_options={"movflags": "faststart"}, **SMALL),
    "mp4-fragmented": lambda: media("mp4", container_options=FRAGMENTED, **SMALL),
    "mkv": lambda: media("matroska", audio="flac", **SMALL),
    "webm": lambda: media("webm", video="libvpx-vp9", audio="libopus", **SMALL),
    "ts": lambda: media("mpegts", **SMALL),
    "ps": lambda: media("mpeg", video="mpeg2video", audio="mp2", **SMALL),
    "avi": lambda: media("avi", video="mpeg4", audio="libmp3lame", **SMALL),
    "flv": lambda: media("flv", **SMALL),
    "mov-hevc": lambda: media("mov", video="libx265", audio="pcm_s16le", video_options=HEVC, **SMALL),
    "ogg": lambda: media("ogg", audio="libopus", **SOUND),
    "mp3": lambda: media("mp3", audio="libmp3lame", **SOUND),
    "wav-adpcm": lambda: media("wav", audio="adpcm_ima_wav", **SOUND),
    "flac": lambda: media("flac", audio="flac", **SOUND),
    "aac": lambda: media("adts", audio="aac", **SOUND),
    "ac3": lambda: media("ac3", audio="ac3", **SOUND),
    "eac3": lambda: media("eac3", audio="eac3", **SOUND),
    "amr": lambda: media("amr", audio="libopencore_amrnb", **SOUND, **NARROW),
    "aiff": lambda: media("aiff", audio="pcm_s16be", **SOUND),
    "au": lambda: media("au", audio="pcm_alaw", **SOUND),
    "caf": lambda: media("caf", audio="alac", **SOUND),
    "w64": lambda: media("w64", audio="pcm_s24le", **SOUND),
    "wv": lambda: media("wv", audio="wavpack", **SOUND),
    "tta": lambda: media("tta", audio="tta", **SOUND),
    "asf": lambda: media("asf", video="wmv2", audio="libmp3lame", **SMALL),
    "h264": lambda: media("h264", **SILENT),
    "hevc": lambda: media("hevc", video="libx265", video_options=HEVC, **SILENT),
    "m4v": lambda: media("m4v", video="mpeg4", **SILENT),
    "mpegvideo": lambda: media("mpeg2video", video="mpeg2video", **SILENT),
    "obu": lambda: media("obu", video="libsvtav1", video_options=AV1, **SILENT | {"size": (128, 128)}),
    "ivf": lambda: media("ivf", video="libvpx", **SILENT),
    "gif": lambda: media("gif", video="gif", pix_fmt="rgb8", **SILENT),
    "apng": lambda: media("apng", video="apng", pix_fmt="rgb24", **SILENT),
    "dv": lambda: media("dv", video="dvvideo", audio="pcm_s16le", **SMALL | DV),
    "mxf": lambda: media("mxf", video="mpeg2video", audio="pcm_s16le", **SMALL),
    "nut": lambda: media("nut", audio="libmp3lame", **SMALL),
    "rm": lambda: media("rm", video="rv20", audio="ac3", **SMALL | {"size": (176, 144)}),
    "wtv": lambda: media("wtv", video="mpeg2video", audio="mp2", **SMALL),
}
SILENT = SMALL | {"audio": None}
AV1 = {"preset": "12", "b": "0", "crf": "30"}
NARROW = {"sample_rate": 8000, "layout": "mono"}
DV = {"size": (720, 576), "frames": 6, "seconds": 0.24}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
WORDS = "00000000 ffffffff 7fffffff 80000000 00000001 ffffff7f"
EXTREMES = tuple(bytes.fromhex(word) for word in WORDS.split())


@functools.cache
def base(name: str) -> bytes:
    return SEEDS[name]()


def mutated_media(seed: int) -> bytes:
    """One of the files, damaged."""
    return mutated(base(list(SEEDS)[seed % len(SEEDS)]), seed)


def mutated(content: bytes, seed: int) -> bytes:
    """Any file, damaged in one to four ways."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but half of the time where headers are: the first and the last kilobytes."""
    size = max(len(data), 1)
    where = rng.random()
    if where < 0.35:
        return rng.randrange(min(size, 2048))
    return size - 1 - rng.randrange(min(size, 4096)) if where < 0.5 else rng.randrange(size)


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 4, 32, 200))):
        if data:
            data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def _noise(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((1, 16, 500, 5000))
    data[at : at + length] = rng.randbytes(len(data[at : at + length]))
    return data


def _blank(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((4, 100, 2000, 20000))
    data[at : at + length] = bytes((rng.choice((0, 255)),)) * len(data[at : at + length])
    return data


def _extreme(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    data[at : at + 4] = rng.choice(EXTREMES)[: len(data[at : at + 4])]
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 3, 188, 4096))]
    return data


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((1, 64, 1000, 10000))
    data[at:at] = data[at : at + length] * rng.choice((1, 1, 8))
    return data


def _splice(data: bytearray, rng: random.Random) -> bytearray:
    other = base(rng.choice(list(SEEDS)))
    at = rng.randrange(len(data) + 1)
    return data[:at] + other[rng.randrange(len(other)) :]


MUTATIONS = (_flip, _flip, _noise, _blank, _extreme, _extreme, _cut, _drop, _repeat, _splice)
