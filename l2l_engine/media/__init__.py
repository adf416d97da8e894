"""Decoding: one clock per file, addressed in seconds."""

from l2l_engine.media.ffmpeg import open_media
from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.opening import display_name
from l2l_engine.media.sampling import knots, timestamps
from l2l_engine.media.source import AudioWindows, Frames, MediaFile, MediaSource, Poll

__all__ = [
    "DEFAULT_LIMITS",
    "AudioWindows",
    "Frames",
    "Limits",
    "MediaFile",
    "MediaSource",
    "Poll",
    "display_name",
    "knots",
    "open_media",
    "timestamps",
]
