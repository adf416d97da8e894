"""What happens as lines and rows: chapters of FFmpeg, labels of Audacity, CSV."""

from __future__ import annotations

import csv
import io
import re

from l2l_engine.formats.stretches import segments_of, side_by_side, spoken, stretches
from l2l_engine.result import Prediction

COLUMNS = ("path", "label", "start_s", "end_s", "score")

_SPECIAL = re.compile(r"[=;#\\]")
_LAST = re.compile(r"\\$")
"""FFmpeg takes a newline after a backslash for part of the value, even if that one is escaped itself."""


def chapters(prediction: Prediction) -> str:
    """The segments as chapters in FFmpeg's FFmetadata, which ``ffmpeg -i FILE -i IT -map_chapters 1`` takes.

    Chapters do not overlap: where several things happen at once, one has all their names. What FFmetadata
    has a meaning for is escaped; a ``\\`` at the end of a title becomes its full-width form.

    Raises:
        NoSegmentsError: The plan gives no segments.
    """
    lines = [";FFMETADATA1"]
    for chapter in side_by_side(stretches(prediction, 1000)):
        title = _SPECIAL.sub(r"\\\g<0>", _LAST.sub("＼", chapter.name))
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={chapter.begin}", f"END={chapter.end}"]
        lines.append(f"title={title}")
    return "\n".join(lines) + "\n"


def audacity(prediction: Prediction) -> str:
    """The segments as a label track of Audacity (File, Import, Labels): start, end, name, between tabs.

    Raises:
        NoSegmentsError: The plan gives no segments.
    """
    return "".join(
        f"{segment.start_s:.6f}\t{segment.end_s:.6f}\t{spoken(segment.label)}\n"
        for segment in segments_of(prediction)
    )


def segments_csv(prediction: Prediction) -> str:
    """The segments as CSV: path, label, start_s, end_s, score; a segment a row, numbers exact.

    Names are quoted and stay what they are, newlines included; only NUL and what is no Unicode is spelled
    out.

    Raises:
        NoSegmentsError: The plan gives no segments.
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    path = _text(prediction.path or "")
    for segment in segments_of(prediction):
        rows.writerow((path, _text(segment.label), segment.start_s, segment.end_s, segment.score))
    return table.getvalue()


def _text(words: str) -> str:
    """Text that any encoding and every reader of CSV can hold."""
    return words.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
