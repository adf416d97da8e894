"""Decoding: one clock per file, addressed in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.sampling import knots, timestamps
from l2l_engine.media.source import AudioWindows, Frames, MediaFile, MediaSource, Poll, display_name

if TYPE_CHECKING:
    from l2l_engine.media.ffmpeg import open_media

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


def __getattr__(name: str) -> Any:
    """FFmpeg is loaded by whoever asks for ``open_media``, and not for a limit or a time."""
    if name != "open_media":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from l2l_engine.media.ffmpeg import open_media  # noqa: PLC0415

    return open_media
