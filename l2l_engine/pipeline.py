"""One video's way through the engine: open, decode at the knots, encode, skim."""

from __future__ import annotations

from l2l_engine.backends import Encoder
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, open_media
from l2l_engine.plan import Plan
from l2l_engine.result import TimeArray
from l2l_engine.session import Bank, Request, Session, Stopwatch, run_skimmer
from l2l_engine.skim import SkimmingModel, SkimResult


class Pipeline:
    """Encoders and skimmer of one plan. Holds no state of a prediction: safe from many threads."""

    def __init__(
        self,
        plan: Plan,
        encoders: dict[str, Encoder],
        skimmer: SkimmingModel,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._document = plan.document
        self._encoders = encoders
        self._skimmer = skimmer
        self._limits = limits

    def open(self, file: MediaFile, request: Request) -> Session:
        """Open one file, to extract features from it.

        Raises:
            MediaError: If the file cannot be used, naming it and the cause.
        """
        with request.watch.stage("probe"):
            source = open_media(file, limits=self._limits, poll=request.poll("probe"))
        return Session(source, self._document, self._encoders, self._skimmer, request)

    def skim(
        self, image: Bank | None, audio: Bank | None, timestamps: TimeArray, steps: int, watch: Stopwatch
    ) -> SkimResult:
        """Run the skimmer on one video; at most one modality may be missing."""
        return run_skimmer(self._skimmer, image, audio, timestamps, steps, watch=watch)
