"""Segments in the formats of other programs: subtitles, chapters, timelines of editors, labels, CSV."""

from l2l_engine.formats.editing import TIMECODE_RATES, edl, otio
from l2l_engine.formats.forms import FORMS, Form
from l2l_engine.formats.problems import EditingUnavailableError, FrameRateError, NoSegmentsError
from l2l_engine.formats.subtitles import srt, vtt
from l2l_engine.formats.tables import audacity, chapters, segments_csv

__all__ = [
    "FORMS",
    "TIMECODE_RATES",
    "EditingUnavailableError",
    "Form",
    "FrameRateError",
    "NoSegmentsError",
    "audacity",
    "chapters",
    "edl",
    "otio",
    "segments_csv",
    "srt",
    "vtt",
]
