"""What the benchmarks ask of the engine, and what this version of it can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import numpy as np

from benchmarks.floor import Knots
from l2l_engine import Classifier
from l2l_engine.call import PredictOptions
from l2l_engine.media.sampling import Policy
from l2l_engine.skim import Skimmer


def lacks(options: dict[str, Any]) -> str | None:
    """Return which of the options of ``predict`` this version does not know; None if it knows them all."""
    for name in options:
        if name not in PredictOptions.__annotations__:
            return f"this version's predict() has no {name}"
    policy = options.get("sampling", "auto")
    if policy not in get_args(Policy):
        return f"this version knows no sampling={policy!r}"
    return None


def knots(classifier: Classifier, path: Path, **options: Any) -> Knots:
    """Return the moments whose features a prediction used: what its last skim was given."""
    given: list[Knots] = []
    run = Skimmer.run

    def noting(skimmer: Skimmer, *banks: Any, **more: Any) -> Any:
        times = (np.zeros((1, 0)) if at is None else np.asarray(at) for at in banks[2:4])
        given.append(Knots(*(row[0].copy() for row in times)))
        return run(skimmer, *banks, **more)

    with patch.object(Skimmer, "run", noting):
        media = classifier.predict(path, **options).media
    # If the engine came to skim by another way, a floor of nothing would be compared with.
    assert media is not None
    used = given[-1]
    assert (len(used.image), len(used.audio)) == (media.image_knots, media.audio_knots)
    return used
