"""What one call asks: the options of ``Classifier.predict``, and what they come to for one plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, get_args

from l2l_engine import arguments
from l2l_engine.media import DEFAULT_LIMITS, Limits
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import MAX_STEPS, PlanDocument
from l2l_engine.run.watch import Progress

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AskOptions(TypedDict, total=False):
    """Options that say what is asked; :meth:`l2l_engine.Classifier.predict` tells what each means."""

    steps: int | None
    sampling: Policy
    max_image_gap_s: float | None
    max_knots: int | None
    budget_ms: float | None
    stop_when: float | None
    top_k: int
    timeout_s: float | None
    refine: bool


class PredictOptions(AskOptions, total=False):
    """All options of :meth:`l2l_engine.Classifier.predict`."""

    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Ask:
    """What may be decoded, when enough is known, and what is told.

    Attributes:
        steps: Steps T of the skimmer.
        sampling: Which frames are decoded.
        max_image_gap_s: Largest gap between frames, seconds, at least a hop.
        max_knots: Most knots of each modality; None for no bound.
        budget_s: Seconds until an answer is due; None for no deadline.
        stop_when: Confidence that is enough; None for all that was planned.
        top_k: Classes to list.
        timeout_s: Seconds after which the call is given up; None for never.
        refine: Whether to look again beside the edges of segments.
    """

    steps: int
    sampling: Policy
    max_image_gap_s: float
    max_knots: int | None = None
    budget_s: float | None = None
    stop_when: float | None = None
    top_k: int = 5
    timeout_s: float | None = None
    refine: bool = True

    @classmethod
    def of(
        cls, document: PlanDocument, limits: Limits = DEFAULT_LIMITS, **options: Unpack[AskOptions]
    ) -> Ask:
        """Check the options of a call, and fill in the plan's defaults and the service's limits.

        Raises:
            ValueError, TypeError: If an option is unknown or out of range; the message names it.
        """
        unknown = sorted(options.keys() - AskOptions.__annotations__.keys())
        if unknown:
            raise TypeError(f"there is no option {unknown[0]!r}")
        max_knots, budget_ms = options.get("max_knots"), options.get("budget_ms")
        stop_when = options.get("stop_when")
        return cls(
            steps=_steps(options.get("steps"), document),
            sampling=arguments.one_of("sampling", options.get("sampling", "auto"), get_args(Policy)),
            max_image_gap_s=_image_gap(options.get("max_image_gap_s"), document),
            max_knots=None if max_knots is None else arguments.positive("max_knots", max_knots),
            budget_s=None if budget_ms is None else arguments.number("budget_ms", budget_ms) / 1000,
            stop_when=None if stop_when is None else arguments.number("stop_when", stop_when, most=1.0),
            top_k=arguments.positive("top_k", options.get("top_k", 5)),
            timeout_s=_timeout(options.get("timeout_s"), limits),
            refine=arguments.boolean("refine", options.get("refine", True)),
        )

    @property
    def in_rounds(self) -> bool:
        """Whether decoding may end before everything planned is decoded."""
        return self.budget_s is not None or self.stop_when is not None


def _steps(value: int | None, document: PlanDocument) -> int:
    if value is None:
        return document.skim.steps
    if arguments.positive("steps", value) > MAX_STEPS:
        raise ValueError(f"steps must be at most {MAX_STEPS}, not {value}")
    most = document.skim.most_steps
    if most == 1 < value:
        does = "averages all pairs of a video" if document.tags is None else "names tags, and skims nothing"
        raise ValueError(f"steps must be 1 or left out, not {value}: this plan {does}")
    if value > most:
        raise ValueError(f"steps must be at most {most}, not {value}: this plan looks once at all moments")
    return value


def _image_gap(value: float | None, document: PlanDocument) -> float:
    hop, settings = document.media.hop, document.sampling
    if value is None:
        return max(min(settings.factor * hop, settings.max_image_gap_s), hop)
    return max(arguments.positive_seconds("max_image_gap_s", value), hop)


def _timeout(value: float | None, limits: Limits) -> float | None:
    """What the call asks for, or the service's limit if that is less."""
    if value is None:
        return limits.wall_clock_s
    seconds = arguments.positive_seconds("timeout_s", value)
    return seconds if limits.wall_clock_s is None else min(seconds, limits.wall_clock_s)
