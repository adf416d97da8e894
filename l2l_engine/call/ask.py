"""What a call of ``predict`` asks for, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np

from l2l_engine import arguments
from l2l_engine.call import calls
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import PlanDocument


@dataclass(frozen=True, slots=True)
class Ask:
    """What may be decoded, and when enough is known.

    Attributes:
        steps: Steps T of the skimmer.
        sampling: Which frames are decoded.
        max_image_gap_s: Largest gap between frames, seconds, at least a hop.
        max_knots: Most knots of each modality; None for no bound.
        budget_s: Seconds until an answer is due; None for no deadline.
        stop_when: Confidence that is enough; None for all that was planned.
    """

    steps: int
    sampling: Policy
    max_image_gap_s: float
    max_knots: int | None = None
    budget_s: float | None = None
    stop_when: float | None = None

    @property
    def in_rounds(self) -> bool:
        """Whether decoding may end before everything planned is decoded."""
        return self.budget_s is not None or self.stop_when is not None


def ask(
    document: PlanDocument,
    *,
    steps: int | None = None,
    sampling: Policy = "auto",
    max_image_gap_s: float | None = None,
    max_knots: int | None = None,
    budget_ms: float | None = None,
    stop_when: float | None = None,
) -> Ask:
    """The arguments of ``Classifier.predict``, with the plan's defaults.

    Raises:
        ValueError, TypeError: If one is out of range; the message names it.
    """
    return Ask(
        steps=calls.steps(steps, document),
        sampling=arguments.one_of("sampling", sampling, get_args(Policy)),
        max_image_gap_s=max(calls.image_gap(max_image_gap_s, document), document.media.hop),
        max_knots=None if max_knots is None else arguments.positive("max_knots", max_knots),
        budget_s=None if budget_ms is None else _number("budget_ms", budget_ms, math.inf) / 1000,
        stop_when=None if stop_when is None else _number("stop_when", stop_when, 1.0),
    )


def _number(name: str, value: float, most: float) -> float:
    """A finite number above 0 and at most ``most``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not (math.isfinite(value) and 0 < value <= most):
        bound = "positive and finite" if math.isinf(most) else f"above 0 and at most {most:g}"
        raise ValueError(f"{name} must be {bound}, not {value!r}")
    return float(value)
