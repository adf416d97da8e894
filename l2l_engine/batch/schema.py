"""The one schema of rows, docs/formats.md: what a prediction, or a failure, is in a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from l2l_engine.errors import (
    CrashedError,
    DeviceError,
    L2LError,
    LimitError,
    MediaAccessError,
    MediaError,
    MediaNotFoundError,
    MediaUnreachableError,
    PredictionTimeoutError,
)
from l2l_engine.result import MediaInfo, Moment, Prediction, Timings

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
"""Of the columns; it counts up when one changes its meaning or its type, or goes."""

ERROR_KINDS: Mapping[str, type[L2LError]] = {
    "not_found": MediaNotFoundError,
    "access": MediaAccessError,
    "unreachable": MediaUnreachableError,
    "limit": LimitError,
    "media": MediaError,
    "timeout": PredictionTimeoutError,
    "crashed": CrashedError,
    "device": DeviceError,
    "unexpected": L2LError,
}
"""What ``error_kind`` may be, and which error it stands for: the first in this order that fits."""

PASSING = frozenset({"unreachable", "device"})
"""Kinds that say nothing of the file: it is tried again when a run is repeated."""

HOW = ("steps", "stopped_by", "device", "decoder", "precision")
MOMENT = ("step", "look_at", "listen_to", "image_share", "audio_share", "image_peak", "audio_peak")


def schema() -> pa.Schema:
    """The columns, in order; made here so that nothing else needs pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    text, real, small, long = pa.string(), pa.float64(), pa.float32(), pa.int64()
    segment = {"label": text, "start_s": real, "end_s": real, "score": real}
    tag = {"name": text, "score": real, "seconds": pa.list_(real)}
    moment = dict.fromkeys(MOMENT, real) | {"step": pa.int32()}
    media = dict.fromkeys(("duration", "coverage", "frame_rate"), real)
    media |= dict.fromkeys(("video_codec", "audio_codec", "sampling"), text)
    media |= dict.fromkeys(("width", "height", "image_knots", "audio_knots", "rounds"), pa.int32())
    media |= {"frames_decoded": long}
    columns: dict[str, Any] = {
        "row_id": text,
        "uri": text,
        "size": long,
        "version": text,
        "plan": text,
        "label": text,
        "confidence": real,
        "top_k": pa.list_(pa.struct({"label": text, "probability": real})),
        "probabilities": pa.list_(small),
        "segments": pa.list_(pa.struct(segment)),
        "moments": pa.list_(pa.struct(moment)),
        "media": pa.struct(media),
        "timings": pa.struct({field.name: real for field in dataclasses.fields(Timings)}),
        "bytes_read": long,
        "steps": pa.int32(),
        "stopped_by": text,
        "device": text,
        "decoder": text,
        "precision": text,
        "error_kind": text,
        "error": text,
        "labels": pa.list_(text),
        "known": pa.bool_(),
        "background": real,
        "heard": pa.list_(pa.struct(tag)),
        "seen": pa.list_(pa.struct(tag)),
    }
    needed = {"row_id", "uri", "plan"}
    fields = [pa.field(name, kind, nullable=name not in needed) for name, kind in columns.items()]
    return pa.schema(fields, metadata={"l2l.schema": str(SCHEMA_VERSION)})


def error_kind(error: L2LError) -> str:
    """Which of ``ERROR_KINDS`` an error is."""
    return next(name for name, kind in ERROR_KINDS.items() if isinstance(error, kind))


def cells(outcome: Prediction | L2LError) -> dict[str, Any]:
    """The columns that say what came of a file; those that are left out are null."""
    if isinstance(outcome, L2LError):
        return {"error_kind": error_kind(outcome), "error": printable(str(outcome))}
    found = {name: getattr(outcome, name) for name in ("label", "confidence", "known", "background", *HOW)}
    return found | {
        "top_k": [{"label": name, "probability": share} for name, share in outcome.top_k],
        "probabilities": outcome.probabilities,
        "segments": None if outcome.segments is None else [*map(dataclasses.asdict, outcome.segments)],
        "moments": [_moment(moment) for moment in outcome.moments],
        "media": None if outcome.media is None else _media(outcome.media),
        "timings": dataclasses.asdict(outcome.timings),
        "bytes_read": None if outcome.media is None else outcome.media.bytes_read,
        "labels": list(outcome.labels),
        "heard": [*map(dataclasses.asdict, outcome.heard)],
        "seen": [*map(dataclasses.asdict, outcome.seen)],
    }


def printable(text: str) -> str:
    """Text that any encoding can hold: bytes of a file name that are no text are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _moment(moment: Moment) -> dict[str, Any]:
    values = (moment.step, moment.look_at, moment.listen_to, *moment.modality_scores, *moment.peaks)
    return dict(zip(MOMENT, values, strict=True))


def _media(media: MediaInfo) -> dict[str, Any]:
    names = ("duration", "coverage", "image_knots", "audio_knots", "frames_decoded", "sampling", "rounds")
    plain: dict[str, Any] = {name: getattr(media, name) for name in names}
    for stream in media.streams:
        plain[f"{stream.kind}_codec"] = stream.codec
        if stream.kind == "video":
            plain |= {"width": stream.width, "height": stream.height, "frame_rate": stream.frame_rate}
    return plain
