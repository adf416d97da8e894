"""However a good file was muxed, every moment shows what a walk shows: start offsets, gaps, orders, sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .judging import judged
from .makers import media
from .reference import walk
from .test_defects import rising

TIME_BASES = {"mp4": 12800, "mov": 12800, "matroska": 1000, "mpegts": 90_000, "flv": 1000}


@st.composite
def files(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of ``media``."""
    count = draw(st.integers(12, 60))
    audio = draw(st.sampled_from([None, "aac"]))
    # Where all tracks pause for longer than half a second something was lost.
    longest = 0.9 if audio is None else 0.3
    gaps = draw(st.lists(st.sampled_from([0.02, 0.04, 0.05, 0.2, longest]), min_size=count, max_size=count))
    start = draw(st.sampled_from([0.0, 0.5, 3.0, 700.0, 30_000.0]))
    options = {
        "bf": draw(st.sampled_from(["0", "1", "3"])),
        "g": draw(st.sampled_from(["1", "5", "12", "1000"])),
    }
    return {
        "container": draw(st.sampled_from(sorted(TIME_BASES))),
        "times": np.cumsum([0.0, *gaps, 0.04, 0.04])
        .round(2)
        .tolist(),  # muxers guess how long the last lasts
        "size": draw(st.sampled_from([(64, 64), (66, 48), (32, 160)])),
        "video_options": options,
        "video_start": start + draw(st.sampled_from([0.0, 0.3, 0.45])),
        "audio_start": start + draw(st.sampled_from([0.0, 0.3, 0.45])),
        "seconds": draw(st.sampled_from([0.3, 2.0, 6.0])),
        "audio": audio,
        "sound": rising,
        "container_options": draw(
            st.sampled_from([{}, {"movflags": "frag_keyframe+empty_moov"}, {"movflags": "faststart"}])
        ),
    }


def check(arguments: dict[str, object]) -> None:
    name = str(arguments["container"])
    if name not in ("mp4", "mov"):
        arguments = arguments | {"container_options": {}}
    content = media(**arguments)  # type: ignore[arg-type]
    # Containers round, and may make the last frame as long as the first.
    assert judged(content, walk(content), declared=1.0) == []


@given(files())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_muxing(arguments: dict[str, object]) -> None:
    check(arguments)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@given(files())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_very_many_muxings(arguments: dict[str, object]) -> None:
    check(arguments)
