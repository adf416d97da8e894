"""What can go wrong while segments are written in the format of another program."""

from __future__ import annotations

from l2l_engine.errors import L2LError


class NoSegmentsError(L2LError, ValueError):
    """The prediction says what happens and not when: its plan has no settings for segments."""


class FrameRateError(L2LError, ValueError):
    """The format counts frames, and nobody said how many a second has."""


class EditingUnavailableError(L2LError, ImportError):
    """OpenTimelineIO is not installed; the message says how to get it."""
