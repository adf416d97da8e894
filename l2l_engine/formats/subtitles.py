"""What happens as subtitles: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

import re

from l2l_engine.formats.stretches import Stretch, stretches
from l2l_engine.result import Prediction

_MS = 1000
_WIDE = str.maketrans({character: chr(ord(character) + 0xFEE0) for character in "<>{}\\"})
"""SRT has no way to write these as text: its readers take them for tags. Their full-width forms are none."""
_ENTITY = re.compile(r"&(?=#?\w+;)")


def srt(prediction: Prediction) -> str:
    """The segments as SubRip subtitles, a cue each.

    ``< > { } \\`` of a name become their full-width forms, and so does ``&`` where it begins an entity.

    Raises:
        NoSegmentsError: The plan gives no segments.
    """
    cues = []
    for number, cue in enumerate(stretches(prediction, _MS), 1):
        words = _ENTITY.sub("＆", cue.name.translate(_WIDE))
        cues.append(f"{number}\n{_span(cue, ',')}\n{words}\n")
    return "\n".join(cues)


def vtt(prediction: Prediction) -> str:
    """The segments as WebVTT, a cue each, for the ``<track>`` of a web page.

    ``& < >`` of a name are written as the entities they have there, so that nothing of it is markup.

    Raises:
        NoSegmentsError: The plan gives no segments.
    """
    cues = ["WEBVTT\n"]
    for number, cue in enumerate(stretches(prediction, _MS), 1):
        words = cue.name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{number}\n{_span(cue, '.')}\n{words}\n")
    return "\n".join(cues)


def _span(cue: Stretch, point: str) -> str:
    return f"{_clock(cue.begin, point)} --> {_clock(cue.end, point)}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{rest:03}"
