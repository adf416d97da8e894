"""One self-contained HTML page: nothing is fetched, and nothing but its own script and style runs."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile
from l2l_engine.report.bars import segment_list
from l2l_engine.report.evidence import Evidence, gather
from l2l_engine.report.facts import details, header
from l2l_engine.report.files import write_whole
from l2l_engine.report.geometry import time_axis
from l2l_engine.report.markup import element, join
from l2l_engine.report.steps import step_list
from l2l_engine.report.tags import tag_lists
from l2l_engine.report.timeline import figure
from l2l_engine.report.words import file_name, visible
from l2l_engine.result import Prediction

_FOOTER = (
    "Pictures are the middles of frames; they and the sound were decoded again from the file when "
    "l2l_engine wrote this page."
)


def write_timeline(
    path: str | os.PathLike[str],
    prediction: Prediction,
    file: MediaFile | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    timeout_s: float = 120.0,
) -> None:
    """Write a prediction as one HTML page that needs no network.

    It shows the video's time axis with pictures of the moments looked at, the waveform, the attention and
    modality scores of every step, the most probable classes, what was read and where the time went; where the
    plan gives segments, what happens when; of a plan of tags what was heard and seen, and when.
    Pictures and waveform are decoded from the file again; if it cannot be read any more, the page says so
    and shows the rest.

    Args:
        path: Where the page goes; replaced whole or not at all.
        prediction: What :meth:`l2l_engine.Classifier.predict` returned.
        file: What it was given: a path, bytes, or a seekable binary file object, read from its start. None
            for a prediction from features.
        limits: What decoding again may cost.
        timeout_s: Seconds after which decoding again is given up.

    Raises:
        ReportWriteError: ``path`` cannot be written.
    """
    write_whole(path, timeline_page(prediction, file, limits=limits, timeout_s=timeout_s).encode("utf-8"))


def timeline_page(
    prediction: Prediction,
    file: MediaFile | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    timeout_s: float = 120.0,
) -> str:
    """The page of :func:`write_timeline`, which says what is in it and takes the same, as text."""
    return render(prediction, gather(prediction, file, limits=limits, timeout_s=timeout_s))


def render(prediction: Prediction, evidence: Evidence) -> str:
    """The page as text."""
    axis = time_axis(prediction)
    style, script = style_and_script()
    page = _resource("page.html")
    chosen = bool(prediction.moments)
    body = join(
        header(prediction, axis),
        element(
            "section",
            element("h2", "Timeline", id_="timeline"),
            figure(prediction, evidence, axis),
            aria_labelledby="timeline",
        ),
        element("section", class_="closer", aria_live="polite", aria_label="The selected step", hidden=True)
        if chosen
        else None,
        segment_list(prediction),
        step_list(prediction, evidence, axis),
        tag_lists(prediction, axis),
        details(prediction),
        element("footer", _FOOTER) if evidence.pictures or evidence.waveform is not None else None,
    )
    return Template(page).substitute(
        policy=policy([style], [script]),
        title=element("title", f"{visible(prediction.label)} · {visible(file_name(prediction))}"),
        style=style,
        script=script,
        body=body,
    )


def _resource(name: str) -> str:
    return files("l2l_engine.report").joinpath(name).read_text(encoding="utf-8")


def policy(styles: Sequence[str], scripts: Sequence[str], **more: str) -> str:
    """A policy: only these very bytes of style and script count, and pictures come from the page itself.

    Args:
        styles, scripts: All that there may be.
        **more: Other directives, with _ for -.
    """
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": " ".join(map(_hash, styles)),
        "script-src": " ".join(map(_hash, scripts)),
        "base-uri": "'none'",
        "form-action": "'none'",
    } | {name.replace("_", "-"): source for name, source in more.items()}
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


def style_and_script() -> tuple[str, str]:
    """The style and the script of every page."""
    return _resource("page.css"), _resource("page.js")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
