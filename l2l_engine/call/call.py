"""One call of ``predict``: its file, its time, and who is told how it goes."""

from __future__ import annotations

from dataclasses import replace

from l2l_engine.call.answer import make_prediction
from l2l_engine.call.ask import Ask
from l2l_engine.call.explain import Explanation, explain
from l2l_engine.call.knots import planned, policy
from l2l_engine.call.pace import Pace
from l2l_engine.call.recognising import recognise
from l2l_engine.call.rounds import run
from l2l_engine.media import MediaFile, display_name
from l2l_engine.media.deadline import Deadline, Progress
from l2l_engine.plan import Plan
from l2l_engine.result import Features, Prediction
from l2l_engine.run.pipeline import Pipeline
from l2l_engine.run.session import Request, Stopwatch


class Call:
    """A call, from the moment it is made.

    Args:
        file: What was handed in.
        ask: What is wanted of it.
        allowed_s: Seconds it may take; None for any time.
        progress: Told of each stage.
    """

    def __init__(self, file: MediaFile, ask: Ask, allowed_s: float | None, progress: Progress | None) -> None:
        self._watch = Stopwatch()
        self._name = display_name(file)
        self._file, self._ask, self._progress = file, ask, progress
        self._pace = Pace(ask)
        self._deadline = Deadline(self._name, allowed_s)

    def predict(
        self, pipeline: Pipeline, plan: Plan, *, top_k: int, device: str, precision: str
    ) -> Prediction:
        """Open, decode, skim, answer."""
        with pipeline.open(self._file, self._request()) as session:
            found = run(session, self._ask, plan, self._pace)
            recognised, seen = None, None
            if pipeline.recogniser is not None:
                recognised, seen = recognise(session, found.skimmed, pipeline.recogniser, self._pace)
            media = replace(found.skimmed.media, frames_decoded=session.frames_decoded)
        return make_prediction(
            found.skimmed.result,
            found.skimmed.timestamps,
            plan.document,
            has_image=found.skimmed.has_image,
            has_audio=found.skimmed.has_audio,
            top_k=top_k,
            timings=self._watch.timings(),
            device=device,
            media=media,
            decoder=session.decoder,
            precision=precision,
            path=self._name,
            stopped_by=found.stopped_by,
            recognised=recognised,
            seen=seen,
        )

    def features(self, pipeline: Pipeline, plan: Plan) -> Features:
        """Open, decode, and hand over the features."""
        with pipeline.open(self._file, self._request()) as session:
            knots = planned(session, self._ask, plan.document, policy(session, self._ask))
            session.extract(knots.image, knots.audio)
            return session.features()

    def explain(self, pipeline: Pipeline, plan: Plan) -> Explanation:
        """Open, and say what would be decoded."""
        with pipeline.open(self._file, self._request()) as session:
            return explain(session, self._ask, plan.document, self._name)

    def _request(self) -> Request:
        return Request(self._name, self._report, self._watch, self._pace.due)

    def _report(self, stage: str, done: float) -> None:
        self._deadline.poll()
        self._pace.poll(stage)
        if self._progress is not None:
            self._progress(stage, done)
