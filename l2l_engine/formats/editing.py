"""What happens as editors of film take it: OpenTimelineIO (.otio) and CMX 3600 (.edl)."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from l2l_engine.formats.problems import EditingUnavailableError, FrameRateError
from l2l_engine.formats.stretches import segments_of, side_by_side, spoken, stretches
from l2l_engine.media import stores
from l2l_engine.report.geometry import time_axis
from l2l_engine.report.words import file_name, visible
from l2l_engine.result import Prediction

TIMECODE_RATES = (24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0)
"""Frames a second that timecodes are made for; an EDL can say no others."""
_REELS = frozenset({"", "BL", "BLACK", "BARS"})
"""Reels that mean something else than a file."""


def otio(prediction: Prediction, fps: float | None = None) -> str:
    """The file as a timeline of OpenTimelineIO, with a marker for each segment, as its JSON.

    A track of video and one of sound, as the file has them, with the whole file as their one clip; the
    markers are on the first. A marker's metadata has the exact seconds and the score, as ``l2l_engine``.

    Args:
        prediction: Its path may be relative to the working directory, and is written as absolute.
        fps: Frames a second; by default the file's.

    Raises:
        NoSegmentsError: The plan gives no segments.
        FrameRateError: The file has no frames, or does not say how many a second, and nor does ``fps``.
        EditingUnavailableError: OpenTimelineIO is not installed.
        ValueError: ``fps`` is no rate.
    """
    api = _api()
    found, rate = segments_of(prediction), _rate(prediction, fps)
    whole = _span(api, 0, math.ceil(time_axis(prediction).duration * rate), rate)
    timeline = api.schema.Timeline(visible(file_name(prediction)))
    kinds = _kinds(prediction)
    for kind in kinds:
        track = api.schema.Track(kind, kind=getattr(api.schema.TrackKind, kind))
        clip = api.schema.Clip(timeline.name, media_reference=_reference(api, prediction, whole))
        clip.source_range = whole
        track.append(clip)
        timeline.tracks.append(track)
    for segment, frames in zip(found, stretches(prediction, rate), strict=True):
        exact = {"start_s": segment.start_s, "end_s": segment.end_s, "score": segment.score}
        marker = api.schema.Marker(
            spoken(segment.label),
            marked_range=_span(api, frames.begin, frames.end, rate),
            metadata={"l2l_engine": exact},
        )
        timeline.tracks[0][0].markers.append(marker)
    return str(api.adapters.write_to_string(timeline, "otio_json"))


def edl(prediction: Prediction, fps: float | None = None) -> str:
    """What happens as the events of an edit decision list, each at its own time in the source and the record.

    Events do not overlap: where several things happen at once, one has all their names.

    Args:
        prediction: Its path may be relative to the working directory, and is written as absolute.
        fps: Frames a second, one of ``TIMECODE_RATES``; by default the file's, or where that is none of
            them the next higher whole one.

    Raises:
        NoSegmentsError: The plan gives no segments.
        FrameRateError: The file has no frames, or does not say how many a second, and nor does ``fps``; or
            ``fps`` is no rate of timecodes.
        EditingUnavailableError: OpenTimelineIO or its adapter for EDL is not installed.
        ValueError: ``fps`` is no rate.
    """
    api, _ = _api(), segments_of(prediction)
    rate = _timecode_rate(_rate(prediction, fps), asked=fps is not None)
    timeline = api.schema.Timeline(visible(file_name(prediction)))
    track = api.schema.Track("V", kind=api.schema.TrackKind.Video)
    timeline.tracks.append(track)
    at, nothing = 0, api.schema.Gap(source_range=_span(api, 0, 0, rate))
    track.append(nothing)  # the adapter takes no track without anything
    for event in side_by_side(stretches(prediction, rate)):
        if event.begin > at:
            track.append(api.schema.Gap(source_range=_span(api, 0, event.begin - at, rate)))
        clip = api.schema.Clip(event.name, media_reference=_reference(api, prediction))
        clip.source_range = _span(api, event.begin, event.end, rate)
        clip.metadata["cmx_3600"] = {"reel": _reel(prediction)}
        track.append(clip)
        at = event.end
    return str(api.adapters.write_to_string(timeline, "cmx_3600", rate=rate))


def check_otio(fps: float | None) -> None:
    """What can be known before there is a prediction: OpenTimelineIO is there, and ``fps`` a rate.

    Raises:
        EditingUnavailableError, ValueError: As :func:`otio`.
    """
    _api()
    _asked(fps)


def check_edl(fps: float | None) -> None:
    """The same for :func:`edl`.

    Raises:
        EditingUnavailableError, FrameRateError, ValueError: As :func:`edl`.
    """
    check_otio(fps)
    if fps is not None:
        _timecode_rate(fps, asked=True)


def _asked(fps: float | None) -> float | None:
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        raise ValueError(f"fps must be more than 0 and at most 1000, not {fps}")
    return fps


def _rate(prediction: Prediction, fps: float | None) -> float:
    """Frames a second: ``fps``, else the file's."""
    asked = _asked(fps)
    if asked is not None:
        return asked
    streams = () if prediction.media is None else prediction.media.streams
    for stream in streams:
        if stream.frame_rate and math.isfinite(stream.frame_rate) and stream.frame_rate > 0:
            return stream.frame_rate
    raise FrameRateError(
        f"{visible(prediction.path or 'features')}: there is no frame rate in it to count frames by: "
        "say one, with --fps or fps="
    )


def _timecode_rate(rate: float, *, asked: bool) -> float:
    for known in TIMECODE_RATES:
        if math.isclose(known, rate, abs_tol=0.005):
            return known
    if asked:
        known_rates = ", ".join(f"{known:.5g}" for known in TIMECODE_RATES)
        raise FrameRateError(f"an EDL counts {known_rates} frames a second, not {rate:g}")
    # Whole rates alone: a rate that varies, or that no editor has, is no rate of film or of NTSC.
    return next((known for known in TIMECODE_RATES if known.is_integer() and known > rate), 60.0)


def _api() -> ModuleType:
    try:
        import opentimelineio  # noqa: PLC0415 - an extra
        import otio_cmx3600_adapter  # noqa: F401, PLC0415 - found by its name
    except ImportError as error:
        raise EditingUnavailableError(
            "OTIO and EDL need opentimelineio and otio-cmx3600-adapter, which are not installed here: "
            "pip install 'l2l_engine[editing]'"
        ) from error
    module: ModuleType = opentimelineio
    return module


def _kinds(prediction: Prediction) -> list[str]:
    media = prediction.media
    if media is None:
        return ["Video"]
    return [kind for kind, there in (("Video", media.video), ("Audio", media.audio)) if there == "present"]


def _span(api: ModuleType, begin: int, end: int, rate: float) -> Any:
    time = api.opentime
    return time.TimeRange(time.RationalTime(begin, rate), time.RationalTime(end - begin, rate))


def _reference(api: ModuleType, prediction: Prediction, whole: Any = None) -> Any:
    """Where the file lies; a URL stays what it is."""
    path = prediction.path
    if path is None:
        return api.schema.MissingReference()
    url = path if stores.protocol_of(path) is not None else Path(os.path.abspath(path)).as_uri()  # noqa: PTH100
    return api.schema.ExternalReference(visible(url), available_range=whole)


def _reel(prediction: Prediction) -> str:
    """The file as eight letters and digits at most, which is what an EDL has room for."""
    stem = file_name(prediction).rpartition(".")[0] or file_name(prediction)
    reel = re.sub(r"[^a-zA-Z0-9]", "", stem)[:8]
    return "AX" if reel.upper() in _REELS else reel
