"""One video's way through the engine: open, decode at the knots, encode, skim."""

from __future__ import annotations

import numpy as np

from l2l_engine.backends import Encoder
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, open_media, sampling
from l2l_engine.plan import Plan
from l2l_engine.result import TimeArray
from l2l_engine.session import Bank, Request, Session, Skimmed, Stopwatch, run_skimmer
from l2l_engine.skim import Skimmer, SkimResult


class Pipeline:
    """Encoders and skimmer of one plan. Holds no state of a prediction: safe from many threads."""

    def __init__(
        self,
        plan: Plan,
        encoders: dict[str, Encoder],
        skimmer: Skimmer,
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

    def run(self, file: MediaFile, request: Request) -> Skimmed:
        """Skim one file.

        Raises:
            MediaError: If the file cannot be used, naming it and the cause.
        """
        with self.open(file, request) as session:
            session.extract(self._image_knots(session, request), self._audio_knots(session))
            return session.skim(request.steps)

    def skim(
        self, image: Bank | None, audio: Bank | None, timestamps: TimeArray, steps: int, watch: Stopwatch
    ) -> SkimResult:
        """Run the skimmer on one video; at most one modality may be missing."""
        return run_skimmer(self._skimmer, image, audio, timestamps, steps, watch=watch)

    def _audio_knots(self, session: Session) -> TimeArray:
        if not session.has_audio:
            return np.zeros(0)
        hop, settings = self._document.media.hop, self._document.sampling
        gap = min(settings.factor * hop, settings.max_audio_gap_s)
        return sampling.knots(session.timestamps, max(1, int(gap / hop * (1 + 1e-9))))

    def _image_knots(self, session: Session, request: Request) -> TimeArray:
        if not session.has_video:
            return np.zeros(0)
        return sampling.image_knots(
            session.timestamps,
            np.zeros(0) if request.sampling == "exact" else session.key_times(),
            policy=request.sampling,
            max_gap=max(request.max_image_gap_s, self._document.media.hop),
        )
