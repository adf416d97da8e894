"""Every container that is read and every kind of file that is refused with words, each with an example.

``python -m tests.media.formats`` prints docs/formats.md; formats.md beside this file is what it ends with.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from l2l_engine.media.containers import CONTAINERS, Container
from l2l_engine.media.folders import SUFFIXES
from l2l_engine.media.refusal import KINDS

from .makers import bursts, media

FRAMES, SECONDS = 150, 6.0
BURSTS = (0.3, 1.1, 2.4, 3.0, 3.9, 5.2)
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}


@dataclass(frozen=True)
class Example:
    """A file of one format; ``container`` is FFmpeg's name of its muxer where that is another."""

    video: str | None = None
    audio: str | None = None
    container: str | None = None
    options: tuple[tuple[str, object], ...] = ()

    def make(self, name: str) -> bytes:
        options = {"frames": FRAMES, "seconds": SECONDS, "sound": bursts(BURSTS)} | dict(self.options)
        return media(self.container or name, video=self.video, audio=self.audio, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Format:
    """What people call a format, how its files are named, and examples of it by the test's name."""

    name: str
    suffixes: str
    examples: dict[str, Example]


def _sound(codec: str, container: str | None = None, **options: object) -> Example:
    return Example(None, codec, container, tuple(options.items()))


def _video(codec: str, audio: str | None = None, container: str | None = None, **options: object) -> Example:
    return Example(codec, audio, container, tuple(options.items()))


NARROW = {"sample_rate": 8000, "layout": "mono"}
AV1 = {"video_options": {"preset": "12", "b": "0", "crf": "20"}}
DV = {"size": (720, 576)}
RM = {"size": (176, 144)}
READ: dict[str, Format] = {
    "mov": Format(
        "MP4, QuickTime",
        ".mp4 .m4v .mov .m4a .3gp",
        {"mp4": _video("libx264", "aac", "mp4"), "mov": _video("mpeg4", "pcm_s16le", "mov")},
    ),
    "matroska": Format(
        "Matroska, WebM",
        ".mkv .mka .webm",
        {
            "mkv": _video("libx264", "flac", "matroska"),
            "webm": _video("libvpx-vp9", "libopus", "webm"),
        },
    ),
    "avi": Format("AVI", ".avi", {"avi": _video("mpeg4", "libmp3lame")}),
    "mpegts": Format("MPEG transport stream", ".ts .mts .m2ts", {"ts": _video("libx264", "aac", "mpegts")}),
    "mpeg": Format("MPEG program stream", ".mpg .mpeg .vob", {"ps": _video("mpeg2video", "mp2")}),
    "flv": Format("Flash video", ".flv", {"flv": _video("libx264", "aac")}),
    "ogg": Format("Ogg", ".ogg .oga .ogv .opus", {"ogg": _sound("libopus")}),
    "asf": Format("ASF, Windows Media", ".asf .wmv .wma", {"asf": _video("wmv2", "libmp3lame")}),
    "wav": Format("WAVE", ".wav", {"wav": _sound("pcm_s16le"), "wav-adpcm": _sound("adpcm_ima_wav")}),
    "w64": Format("Wave64", ".w64", {"w64": _sound("pcm_s24le")}),
    "flac": Format("FLAC", ".flac", {"flac": _sound("flac")}),
    "mp3": Format("MP3", ".mp3", {"mp3": _sound("libmp3lame")}),
    "aac": Format("AAC (ADTS)", ".aac", {"adts": _sound("aac", "adts")}),
    "ac3": Format("AC-3", ".ac3", {"ac3": _sound("ac3")}),
    "eac3": Format("E-AC-3", ".eac3", {"eac3": _sound("eac3")}),
    "dts": Format("DTS", ".dts", {}),
    "amr": Format("AMR", ".amr", {"amr": _sound("libopencore_amrnb", **NARROW)}),
    "amrnb": Format("AMR without a header, narrow", ".amr", {}),
    "amrwb": Format("AMR without a header, wide", ".awb", {}),
    "aiff": Format("AIFF", ".aif .aiff", {"aiff": _sound("pcm_s16be")}),
    "au": Format("AU", ".au", {"au": _sound("pcm_s16be")}),
    "caf": Format("CAF", ".caf", {"caf": _sound("pcm_s16be"), "caf-alac": _sound("alac")}),
    "wv": Format("WavPack", ".wv", {"wv": _sound("wavpack")}),
    "tta": Format("True Audio", ".tta", {"tta": _sound("tta")}),
    "ape": Format("Monkey's Audio", ".ape", {}),
    "h264": Format(
        "raw H.264",
        ".h264 .264",
        {
            "h264": _video("libx264"),
            "h264-intra": _video("libx264", video_options={"g": "1", "bf": "0"}),
        },
    ),
    "hevc": Format("raw H.265", ".hevc .265", {"hevc": _video("libx265", video_options=HEVC)}),
    "m4v": Format("raw MPEG-4", ".m4v", {"m4v": _video("mpeg4", video_options={"bf": "2"})}),
    "mpegvideo": Format(
        "raw MPEG-1 and -2",
        ".m1v .m2v",
        {
            "m1v": _video("mpeg1video", container="mpeg1video"),
            "m2v": _video("mpeg2video", container="mpeg2video", video_options={"bf": "2"}),
        },
    ),
    "obu": Format("raw AV1", ".obu", {"obu": _video("libsvtav1", **AV1)}),
    "ivf": Format("IVF", ".ivf", {"ivf": _video("libvpx"), "ivf-av1": _video("libsvtav1", **AV1)}),
    "gif": Format("GIF", ".gif", {"gif": _video("gif", pix_fmt="rgb8")}),
    "apng": Format("animated PNG", ".apng", {"apng": _video("apng", pix_fmt="rgb24")}),
    "dv": Format("DV", ".dv", {"dv": _video("dvvideo", "pcm_s16le", **DV)}),
    "mxf": Format(
        "MXF",
        ".mxf",
        {"mxf": _video("mpeg2video", "pcm_s16le"), "mxf-h264": _video("libx264", "pcm_s16le")},
    ),
    "nut": Format("NUT", ".nut", {"nut": _video("libx264", "libmp3lame")}),
    "rm": Format("RealMedia", ".rm .rmvb", {"rm": _video("rv20", "ac3", **RM)}),
    "wtv": Format("Windows recorded TV", ".wtv", {"wtv": _video("mpeg2video", "mp2")}),
}
EXAMPLES: dict[str, tuple[str, Example]] = {
    name: (muxer, example) for muxer, kind in READ.items() for name, example in kind.examples.items()
}


@functools.cache
def example(name: str) -> bytes:
    """The content of an example."""
    container, made = EXAMPLES[name]
    return made.make(container)


PAD = b"\x07" * 200
REFUSED: dict[str, Callable[[], bytes]] = {
    "WebP": lambda: b"RIFF\x24\0\0\0WEBPVP8X" + PAD,
    "HEIF or AVIF": lambda: b"\0\0\0\x18ftypheic" + PAD,
    "Motion JPEG": lambda: media("mjpeg", video="mjpeg", audio=None, frames=3, pix_fmt="yuvj420p"),
    "JPEG": lambda: media("image2pipe", video="mjpeg", audio=None, frames=1, pix_fmt="yuvj420p"),
    "PNG": lambda: media("image2pipe", video="png", audio=None, frames=1, pix_fmt="rgb24", video_options={}),
    "TIFF": lambda: media("image2pipe", video="tiff", audio=None, frames=1, pix_fmt="rgb24"),
    "BMP": lambda: media("image2pipe", video="bmp", audio=None, frames=1, pix_fmt="bgr24"),
    "HLS": lambda: b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:6,\na.ts\n",
    "concat": lambda: b"ffconcat version 1.0\nfile 'a.mp4'\n",
    "DASH": lambda: b"<?xml version='1.0'?>\n<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
    "web page": lambda: b"<!DOCTYPE html>\n<html><title>Log in</title></html>",
    "ZIP": lambda: b"PK\x03\x04" + PAD,
    "RAR": lambda: b"Rar!\x1a\x07\x01\0" + PAD,
    "7z": lambda: b"7z\xbc\xaf\x27\x1c" + PAD,
    "gzip": lambda: b"\x1f\x8b\x08" + PAD,
    "OpenSSL": lambda: b"Salted__" + PAD,
    "PGP": lambda: b"-----BEGIN PGP MESSAGE-----\n" + PAD,
    "age": lambda: b"age-encryption.org/v1\n" + PAD,
    "Y4M": lambda: b"YUV4MPEG2 W8 H8 F25:1\nFRAME\n" + PAD,
    "Flash": lambda: b"FWS\x06" + PAD,
    "Bink": lambda: b"BIKi" + PAD,
    "Smacker": lambda: b"SMK2" + PAD,
    "NSV": lambda: b"NSVf" + PAD,
    "FLIC": lambda: b"\x10\0\0\0\x12\xaf" + PAD,
    "VOC": lambda: media("voc", video=None, audio="pcm_u8", seconds=0.5),
    "Musepack": lambda: b"MPCK" + PAD,
    "TAK": lambda: b"tBaK" + PAD,
    "DSD": lambda: b"DSD \x1c" + PAD,
    "Dirac": lambda: b"BBCD\0" + PAD,
    "LATM": lambda: media("latm", video=None, audio="aac", seconds=0.5),
    "TrueHD": lambda: b"\x60\x58\xff\xd8\xf8\x72\x6f\xba" + PAD,
    "raw H.263": lambda: media("h263", video="h263", audio=None, frames=2, size=(176, 144)),
    "GXF": lambda: b"\0\0\0\0\x01\xbc\0\0\x01\x1c\0\0\0\0\xe1\xe2" + PAD,
    "SoX": lambda: media("sox", video=None, audio="pcm_s32le", seconds=0.5),
    "MIDI": lambda: b"MThd\0\0\0\x06" + PAD,
    "WTV": lambda: example("wtv")[:20_000],
    "PDF": lambda: b"%PDF-1.7\n" + PAD,
}


def page() -> str:
    """docs/formats.md."""
    rows = "\n".join(
        f"| {kind.name} | {kind.suffixes} | {_codecs(kind)} | {_found(CONTAINERS[name])} |"
        for name, kind in READ.items()
    )
    refused = "\n".join(f"| {name} | {kind.words.replace('|', '/')} |" for name, kind in KINDS.items())
    listed = f"Inside a folder the command line takes files with these names: {' '.join(sorted(SUFFIXES))}."
    folders = textwrap.fill(listed, 118, break_on_hyphens=False)
    by_hand = Path(__file__).with_name("formats.md").read_text(encoding="utf-8")
    return _PAGE.format(rows=rows, refused=refused, folders=folders, by_hand=by_hand)


def _codecs(kind: Format) -> str:
    pairs = {
        " + ".join(codec for codec in (made.video, made.audio) if codec) for made in kind.examples.values()
    }
    return ", ".join(sorted(pairs)) or "none: nothing here can make one"


def _found(facts: Container) -> str:
    """How a moment in the middle is come to."""
    if facts.index is not None:
        return "by the index"
    if facts.timed == "linear":
        return "by seeking in PCM, by reading in other sound"
    if facts.timed and facts.order != "counted":
        return "by seeking; sound by reading" if not facts.finds_sound else "by seeking"
    return "by reading up to it"


_PAGE = """# Formats

What a file is, its content says; its name does not matter. This page is printed by
`python -m tests.media.formats`; the tests hold it to the code, make a file of each row and read it.

## Read

Any codec that FFmpeg decodes, in any of these. Reading up to a moment takes longer than seeking to it, and
is no decoding.

| container | names | tried with | how a moment is found |
| --- | --- | --- | --- |
{rows}

{folders}

## Not read

An error, a `MediaError`, says what the file is, and what helps:

| file | what is said |
| --- | --- |
{refused}

* What is encrypted (protected MP4, WebM and ASF, scrambled transport streams) is called encrypted.
* An MP4 or MOV that lacks its index was cut short: the message says how many bytes are here, and how many
  there should be. Of a chained Ogg that goes on with other channels or another rate only the first part
  can be read, and the rest counts as lost, by its bytes. Any other file that was cut short is read as far as
  it goes; where its header says how long it should be, less than half of it is an error that says how much
  is there, in all sampling modes alike, and of more, `coverage` says the share.
* A track that is declared and yields nothing is absent. If it is all there is, that is the error.
* Frames above `Limits.pixels` (36 million: 8K), and files longer than `Limits.duration` (a day) are refused;
  `l2l predict --max-pixels`, `--max-duration`, `--max-frames`, `--max-audio-bytes` set other limits.

{by_hand}"""

if __name__ == "__main__":
    print(page(), end="")
