"""All formats by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from l2l_engine.formats.editing import edl, otio
from l2l_engine.formats.subtitles import srt, vtt
from l2l_engine.formats.tables import audacity, chapters, segments_csv
from l2l_engine.result import Prediction


@dataclass(frozen=True, slots=True)
class Form:
    """A format: how its files are named, what writes it, and whether it counts frames."""

    suffix: str
    write: Callable[..., str]
    counts_frames: bool = False

    def at(self, fps: float | None) -> Callable[[Prediction], str]:
        """What writes it, at ``fps`` frames a second where it counts them."""
        return partial(self.write, fps=fps) if self.counts_frames else self.write


FORMS = {
    "srt": Form(".srt", srt),
    "vtt": Form(".vtt", vtt),
    "chapters": Form(".chapters.txt", chapters),
    "otio": Form(".otio", otio, counts_frames=True),
    "edl": Form(".edl", edl, counts_frames=True),
    "audacity": Form(".labels.txt", audacity),
    "segments_csv": Form(".segments.csv", segments_csv),
}
