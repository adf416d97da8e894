"""What the benchmarks ask of the engine, and what this version of it can do."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import numpy as np

from benchmarks.floor import Knots
from l2l_engine import Classifier
from l2l_engine.media.ffmpeg import FFmpegSource
from l2l_engine.media.sampling import Policy


def lacks(options: dict[str, Any]) -> str | None:
    """Which of the options of ``predict`` this version does not know; None if it knows them all."""
    known = inspect.signature(Classifier.predict).parameters
    for name in options:
        if name not in known:
            return f"this version's predict() has no {name}"
    policy = options.get("sampling", "auto")
    if policy not in get_args(Policy):
        return f"this version knows no sampling={policy!r}"
    return None


def knots(classifier: Classifier, path: Path, **options: Any) -> Knots:
    """The moments that a prediction with these options really decodes, noted while it does."""
    asked: dict[str, list[float]] = {"frames": [], "audio_windows": []}

    def noting(name: str) -> Any:
        method = getattr(FFmpegSource, name)

        def noted(source: FFmpegSource, times: Any, **settings: Any) -> Any:
            asked[name] += np.asarray(times).tolist()
            return method(source, times, **settings)

        return patch.object(FFmpegSource, name, noted)

    with noting("frames"), noting("audio_windows"):
        media = classifier.predict(path, **options).media
    image, audio = (np.unique(np.array(times)) for times in asked.values())
    # If the engine came to decode by another way, a floor of nothing would be compared with.
    assert media is not None
    assert (len(image), len(audio)) == (media.image_knots, media.audio_knots)
    return Knots(image, audio)
