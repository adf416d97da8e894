"""The timeline as one picture, drawn by matplotlib where it is installed."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile
from l2l_engine.report.evidence import gather
from l2l_engine.report.files import write_whole
from l2l_engine.report.problems import PlotUnavailableError
from l2l_engine.result import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def write_plot(
    path: str | os.PathLike[str],
    prediction: Prediction,
    file: MediaFile | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    timeout_s: float = 120.0,
) -> None:
    """Write a prediction as a PNG picture: what :func:`write_timeline` shows, for papers and slides.

    Args:
        path: Where the picture goes; replaced whole or not at all.
        prediction: What :meth:`l2l_engine.Classifier.predict` returned.
        file: What it was given; None for a prediction from features.
        limits: What decoding again may cost.
        timeout_s: Seconds after which decoding again is given up.

    Raises:
        PlotUnavailableError: matplotlib is not installed.
        ReportWriteError: ``path`` cannot be written.
    """
    try:
        from l2l_engine.report.drawing import draw  # noqa: PLC0415 - matplotlib is an extra
    except ImportError as error:
        raise PlotUnavailableError(
            "a plot needs matplotlib, which is not installed here: pip install 'l2l_engine[plot]'"
        ) from error
    picture = draw(prediction, gather(prediction, file, limits=limits, timeout_s=timeout_s))
    write_whole(path, _png(picture))


def _png(picture: Figure) -> bytes:
    target = io.BytesIO()
    # The page says which file it shows; the picture's metadata need not.
    picture.savefig(target, format="png", dpi=_DPI, metadata={"Software": "l2l_engine"})
    return target.getvalue()
