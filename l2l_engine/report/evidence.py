"""What the file shows and sounds like where it was looked at and listened to: decoded again, bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import L2LError
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, MediaSource, Poll, open_media
from l2l_engine.media.deadline import Deadline
from l2l_engine.report.geometry import time_axis
from l2l_engine.report.words import file_name, visible
from l2l_engine.result import Prediction

FloatArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]

SIDE = 224
"""Pixels of a picture: twice what the network sees, for the eyes of people and their screens."""
_SHORT_SIDE = 256
MOST_PICTURES = 48
"""Distinct moments decoded for one report; more would make the page heavy and tell nobody anything."""

_RATE = 16000
_COLUMNS = 480
_LONGEST = 1.0
"""Seconds of sound read for one column of the waveform; in a long file a column is a sample of it."""
CLIP_COLUMNS = 60
CLIP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """The loudness of the whole file, from 0 to 1 of its own loudest moment.

    Attributes:
        peaks: float32 [480], the largest sample of each column; NaN where nothing could be decoded.
        levels: float32 [480], its root mean square.
        sampled: Each column was measured on a part of its time.
    """

    peaks: FloatArray
    levels: FloatArray
    sampled: bool


@dataclass(slots=True, eq=False)
class Evidence:
    """What could be decoded for a report.

    Attributes:
        pictures: uint8 [224, 224, 3] by the second that was looked at.
        clips: float32 [60], peaks of the second of sound from the moment that was listened to, by that
            moment; on the same scale as the waveform.
        waveform: None without sound.
        notes: What could not be shown and why, in sentences.
    """

    pictures: dict[float, ImageArray] = field(default_factory=dict)
    clips: dict[float, FloatArray] = field(default_factory=dict)
    waveform: Waveform | None = None
    notes: list[str] = field(default_factory=list)


def gather(
    prediction: Prediction, file: MediaFile | None, *, limits: Limits = DEFAULT_LIMITS, timeout_s: float
) -> Evidence:
    """Decode what a report shows. A file that cannot be read any more costs pictures, not the report.

    Args:
        prediction: What was predicted from the file.
        file: The file; None if there is none.
        limits: What it may cost.
        timeout_s: Seconds before the rest is given up.
    """
    evidence = Evidence()
    if file is None or prediction.media is None:
        return evidence
    deadline = Deadline("the file", timeout_s)

    def attempt(what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (L2LError, OSError, ValueError) as error:
            cause = str(error)
            if prediction.path is not None:  # whoever the report is shown to need not know the folder
                cause = cause.replace(prediction.path, file_name(prediction))
            evidence.notes.append(f"{what}: {visible(cause)}.")

    def read() -> None:
        with open_media(file, limits=limits, poll=deadline.poll) as source:
            _note_change(source, prediction, evidence)
            attempt(
                "The sound could not be decoded again", lambda: _listen(source, prediction, evidence, poll)
            )
            attempt(
                "The pictures could not be decoded again", lambda: _look(source, prediction, evidence, poll)
            )

    poll: Poll = deadline.poll
    attempt("The file could not be read again, so its pictures and waveform are missing", read)
    return evidence


def _note_change(source: MediaSource, prediction: Prediction, evidence: Evidence) -> None:
    expected = math.inf if prediction.media is None else prediction.media.duration
    if not math.isclose(source.duration, expected, rel_tol=1e-3, abs_tol=0.05):
        evidence.notes.append(
            f"The file has changed since it was classified: it is now {source.duration:.1f} s long, not "
            f"{expected:.1f} s. Pictures and waveform show what it is now."
        )


def _look(source: MediaSource, prediction: Prediction, evidence: Evidence, poll: Poll) -> None:
    times = _first_distinct(moment.look_at for moment in prediction.moments)
    if not source.has_video or not len(times):
        return
    frames = source.frames(times, short_side=_SHORT_SIDE, crop=SIDE, poll=poll)
    for time, image, valid in zip(times, frames.images, frames.valid, strict=True):
        if valid:
            evidence.pictures[float(time)] = image
    missing = len(times) - len(evidence.pictures)
    if missing:
        evidence.notes.append(f"{missing} of {len(times)} pictures could not be decoded again.")


def _listen(source: MediaSource, prediction: Prediction, evidence: Evidence, poll: Poll) -> None:
    if not source.has_audio:
        return
    # The axis of the report is that of the prediction, even if the file is another one by now.
    starts = np.linspace(0.0, time_axis(prediction).duration, _COLUMNS, endpoint=False)
    width = float(starts[1])
    peaks, levels = _loudness(source, starts, min(width, _LONGEST), poll)
    loudest = max(float(np.nanmax(peaks, initial=0.0)), 1e-4)
    evidence.waveform = Waveform(peaks / loudest, levels / loudest, sampled=width > _LONGEST)
    times = _first_distinct(moment.listen_to for moment in prediction.moments)
    if len(times):
        clips = _clip_peaks(source, times, poll) / loudest
        evidence.clips |= {float(t): np.minimum(clip, 1.0) for t, clip in zip(times, clips, strict=True)}


def _loudness(
    source: MediaSource, starts: NDArray[np.float64], seconds: float, poll: Poll
) -> tuple[FloatArray, FloatArray]:
    """Peak and root mean square of the windows from ``starts`` on; NaN where nothing was decoded."""
    window = max(1, math.ceil(seconds * _RATE))
    windows = source.audio_windows(starts, window=window, sample_rate=_RATE, poll=poll)
    lost = np.where(windows.valid, np.float32(0), np.float32(np.nan))
    peaks = np.abs(windows.samples).max(axis=1)
    levels = np.sqrt(np.square(windows.samples).mean(axis=1))
    return peaks + lost, levels + lost


def _clip_peaks(source: MediaSource, times: NDArray[np.float64], poll: Poll) -> FloatArray:
    """Peaks inside the second of sound from each of ``times`` (float32 [M, 60])."""
    window = round(CLIP_SECONDS * _RATE)
    samples = source.audio_windows(times, window=window, sample_rate=_RATE, poll=poll).samples
    columns = samples[:, : window // CLIP_COLUMNS * CLIP_COLUMNS].reshape(len(times), CLIP_COLUMNS, -1)
    return np.asarray(np.abs(columns).max(axis=2), np.float32)


def _first_distinct(moments: Iterable[float | None]) -> NDArray[np.float64]:
    """The first 48 different moments, in the order of time."""
    chosen: Mapping[float, None] = dict.fromkeys(time for time in moments if time is not None)
    return np.array(sorted(list(chosen)[:MOST_PICTURES]), np.float64)
