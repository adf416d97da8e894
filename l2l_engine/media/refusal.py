"""What a file is that is not read here, and what its owner can do about it: by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOOKED_AT = 64 * 1024
"""Bytes at the beginning of a file that tell what it is."""

ENCRYPTED = (
    "it is encrypted, and only what it was made for can play it; who has the key can free it:"
    " ffmpeg -decryption_key KEY -i FILE -c copy OUT.mp4"
)
CONVERT = "convert it: ffmpeg -i FILE -c:v libx264 -c:a aac OUT.mp4"
_UNPACK = "an archive: unpack it"
_PICTURE = "a single picture, and no movie"
_LIST = "a list of other files, which are not opened on its behalf: name those, or make one file of them: "


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: a pattern that its first bytes match, and what is said of it."""

    pattern: bytes
    words: str


KINDS: dict[str, Kind] = {
    "WebP": Kind(rb"RIFF....WEBP", "WebP, an animation or a picture: convert it: magick FILE OUT.gif"),
    "HEIF or AVIF": Kind(rb"....ftyp(heic|heix|hevc|mif1|msf1|avif|avis)", _PICTURE),
    "Motion JPEG": Kind(
        rb"\xff\xd8\xff.*?\xff\xd9\xff\xd8\xff", f"Motion JPEG without a container: {CONVERT}"
    ),
    "JPEG": Kind(rb"\xff\xd8\xff", _PICTURE),
    "PNG": Kind(rb"\x89PNG\r\n\x1a\n(?!.*acTL)", _PICTURE),
    "TIFF": Kind(rb"II\x2a\0|MM\0\x2a", _PICTURE),
    "BMP": Kind(rb"BM.{4}\0\0\0\0", _PICTURE),
    "HLS": Kind(rb"(\xef\xbb\xbf)?#EXTM3U", f"a playlist, {_LIST}ffmpeg -i FILE -c copy OUT.mp4"),
    "concat": Kind(rb"ffconcat version", f"an ffconcat script, {_LIST}ffmpeg -i FILE -c copy OUT.mp4"),
    "DASH": Kind(rb"\s*(<\?xml[^>]*>\s*)?<MPD", f"a DASH manifest, {_LIST}ffmpeg -i FILE -c copy OUT.mp4"),
    "web page": Kind(rb"(?i)\s*(<!doctype html|<html)", "a web page, as a download gives that wants a login"),
    "ZIP": Kind(rb"PK\x03\x04", _UNPACK),
    "RAR": Kind(rb"Rar!\x1a\x07", _UNPACK),
    "7z": Kind(rb"7z\xbc\xaf\x27\x1c", _UNPACK),
    "gzip": Kind(rb"\x1f\x8b\x08", _UNPACK),
    "OpenSSL": Kind(rb"Salted__", "encrypted, by openssl: decrypt it first"),
    "PGP": Kind(rb"-----BEGIN PGP MESSAGE", "encrypted, by PGP: decrypt it first"),
    "age": Kind(rb"age-encryption.org", "encrypted, by age: decrypt it first"),
    "Y4M": Kind(rb"YUV4MPEG2", f"YUV4MPEG2, pictures without a codec: {CONVERT}"),
    "Flash": Kind(rb"[FCZ]WS[\x03-\x32]", f"a Flash program, which may hold a movie: {CONVERT}"),
    "Bink": Kind(rb"BIK[bcdefghijk]|KB2[a-k]", f"Bink: {CONVERT}"),
    "Smacker": Kind(rb"SMK[24]", f"Smacker: {CONVERT}"),
    "NSV": Kind(rb"NSV[fs]", f"Nullsoft video: {CONVERT}"),
    "FLIC": Kind(rb"....(\x11|\x12)\xaf", f"a FLIC animation: {CONVERT}"),
    "VOC": Kind(rb"Creative Voice File", f"Creative Voice: {CONVERT}"),
    "Musepack": Kind(rb"MPCK|MP\+", f"Musepack: {CONVERT}"),
    "TAK": Kind(rb"tBaK", f"TAK: {CONVERT}"),
    "DSD": Kind(rb"DSD |FRM8.{8}DSD ", f"DSD: {CONVERT}"),
    "Dirac": Kind(rb"BBCD", f"a raw Dirac stream: {CONVERT}"),
    "LATM": Kind(rb"\x56[\xe0-\xff]", f"AAC in LATM, as broadcast: {CONVERT}"),
    "TrueHD": Kind(rb".{4}\xf8\x72\x6f[\xba\xbb]", f"raw TrueHD or MLP: {CONVERT}"),
    "raw H.263": Kind(rb"\0\0[\x80-\x83].{16}", f"raw H.263: {CONVERT}"),
    "GXF": Kind(rb"\0{4}\x01\xbc", f"GXF, of video servers: {CONVERT}"),
    "SoX": Kind(rb"\.SoX|XoS\.", f"SoX's own format: {CONVERT}"),
    "MIDI": Kind(rb"MThd", "MIDI, notes without sound: play it into a sound file first"),
    "WTV": Kind(rb"\xb7\xd8\x00\x20\x37\x49\xda\x11", "WTV that was cut short: its tables lie at its end"),
    "PDF": Kind(rb"%PDF-", "a PDF"),
}
"""Of what nobody reads here, what a user may well try."""


def why(head: bytes, size: int, read: Callable[[int, int], bytes]) -> str | None:
    """What a file is that cannot be opened, and what helps; None if it is nothing that is known.

    Args:
        head: The first ``LOOKED_AT`` bytes.
        size: Bytes of the file.
        read: Gives bytes of it, by offset and count.
    """
    for name, kind in KINDS.items():
        if re.match(kind.pattern, head, re.DOTALL):
            return kind.words if name.split()[0].lower() in kind.words.lower() else f"{name}: {kind.words}"
    if (declared := _declared_bytes(size, read)) is not None:
        share = f"{size} bytes are here" if declared <= size else f"{size} of {declared} bytes are here"
        return f"an MP4 or MOV without its index, which comes last, so it was cut short: {share}"
    return "text" if _is_text(head) else None


def encrypted(head: bytes) -> bool:
    """Whether a file says by its first bytes that what is in it is encrypted: a transport stream or ASF."""
    if head.startswith(_ASF):
        return any(identifier in head for identifier in _ASF_PROTECTION)
    packets = [head[at : at + 4] for at in range(0, len(head) - 4, 188)]
    with_payload = [p for p in packets if p[0] == 0x47 and p[3] & 0x10 and (p[1] & 0x1F or p[2])]
    scrambled = [packet for packet in with_payload if packet[3] & 0xC0]
    return len(scrambled) > len(packets) / 4  # tables, and often the sound, are not


_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROTECTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_BOXES = {b"ftyp", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pdin", b"styp", b"moof", b"sidx"}


def _declared_bytes(size: int, read: Callable[[int, int], bytes]) -> int | None:
    """How long an MP4 or MOV says it is, box by box; None if it is none, or has an index."""
    end, boxes = 0, 0
    for begin, length, kind in _boxes(size, read):
        if kind not in _BOXES:
            return None
        end, boxes = begin + length, boxes + 1
    return end if boxes else None


def _boxes(size: int, read: Callable[[int, int], bytes]) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 8 <= size:
        header = read(at, 16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        yield at, length, kind
        if length < 8:
            return
        at += length


def _is_text(head: bytes) -> bool:
    try:
        words = head[:1024].decode()
    except UnicodeDecodeError:
        return False
    return bool(words) and all(letter.isprintable() or letter in "\r\n\t\ufeff" for letter in words)
