"""All formats by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from l2l_engine.formats.editing import check_edl, check_otio, edl, otio
from l2l_engine.formats.subtitles import srt, vtt
from l2l_engine.formats.tables import audacity, chapters, segments_csv
from l2l_engine.result import Prediction


@dataclass(frozen=True, slots=True)
class Form:
    """A format.

    Attributes:
        suffix: How its files are named.
        write: Makes its text of a prediction; with ``fps``, where there is a ``check``.
        check: Of a format that counts frames: raises what ``write`` would of this ``fps`` whatever the file.
    """

    suffix: str
    write: Callable[..., str]
    check: Callable[[float | None], None] | None = None

    def at(self, fps: float | None) -> Callable[[Prediction], str]:
        """What writes it, at ``fps`` frames a second where it counts them.

        Raises:
            EditingUnavailableError, FrameRateError, ValueError: It would of no file.
        """
        if self.check is None:
            return self.write
        self.check(fps)
        return partial(self.write, fps=fps)


FORMS = {
    "srt": Form(".srt", srt),
    "vtt": Form(".vtt", vtt),
    "chapters": Form(".chapters.txt", chapters),
    "otio": Form(".otio", otio, check_otio),
    "edl": Form(".edl", edl, check_edl),
    "audacity": Form(".labels.txt", audacity),
    "segments_csv": Form(".segments.csv", segments_csv),
}
