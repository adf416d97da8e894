"""One call of ``predict``: its file, its time, and who is told how it goes."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from dataclasses import replace

from l2l_engine.call.answer import answered_probabilities, make_prediction
from l2l_engine.call.ask import Ask
from l2l_engine.call.explain import Explanation, explain
from l2l_engine.call.knots import planned, policy
from l2l_engine.call.pace import Pace
from l2l_engine.call.recognising import recognise
from l2l_engine.call.refining import tell_when
from l2l_engine.call.rounds import run
from l2l_engine.media import MediaFile, display_name
from l2l_engine.media.deadline import Deadline
from l2l_engine.plan import Plan
from l2l_engine.result import Features, Prediction
from l2l_engine.run.pipeline import Pipeline
from l2l_engine.run.watch import Progress, Stage, Watch


class Call:
    """A call, from the moment it is made: its time runs from then on.

    Args:
        file: What was handed in.
        ask: What is wanted of it.
        progress: Told of each stage.
        abandoned: Set once nobody waits for the answer any more.
    """

    def __init__(
        self,
        file: MediaFile,
        ask: Ask,
        progress: Progress | None = None,
        abandoned: threading.Event | None = None,
    ) -> None:
        self._file, self._ask, self._progress = file, ask, progress
        self._abandoned = abandoned
        self._name = display_name(file)
        self._pace = Pace(ask)
        self._deadline = Deadline(self._name, ask.timeout_s)
        self._watch = Watch(self._name, self._check, self._tell, self._pace.due)

    def predict(self, pipeline: Pipeline, plan: Plan, *, device: str) -> Prediction:
        """Open, decode, skim, answer."""
        with pipeline.open(self._file, self._watch) as session, session.unchanged():
            if pipeline.head is not None:
                self._pace.keep(pipeline.head.seconds * len(session.timestamps))
            outcome = run(session, self._ask, plan, self._pace)
            recognised, seen = None, None
            if pipeline.recogniser is not None:
                recognised, seen = recognise(session, outcome.skimmed, pipeline.recogniser, self._pace)
            tagged = None if plan.document.tags is None else session.features()
            skimmed, segments = outcome.skimmed, None
            if pipeline.head is not None:
                probabilities = answered_probabilities(skimmed.result, plan.document, seen)
                skimmed, segments = tell_when(
                    session, pipeline.head, skimmed, probabilities, self._ask, plan.document, self._pace
                )
            media = replace(
                skimmed.media, frames_decoded=session.frames_decoded, bytes_read=session.bytes_read
            )
        return make_prediction(
            skimmed.result,
            skimmed.timestamps,
            plan.document,
            has_image=skimmed.has_image,
            has_audio=skimmed.has_audio,
            top_k=self._ask.top_k,
            timings=self._watch.stopwatch.timings(),
            device=device,
            media=media,
            decoder=session.decoder,
            precision=pipeline.precision,
            path=self._name,
            stopped_by=outcome.stopped_by,
            recognised=recognised,
            seen=seen,
            tagged=tagged,
            segments=segments,
        )

    def features(self, pipeline: Pipeline, plan: Plan) -> Features:
        """Open, decode, and hand over the features."""
        with pipeline.open(self._file, self._watch) as session, session.unchanged():
            knots = planned(session, self._ask, plan.document, policy(session, self._ask))
            session.extract(knots.image, knots.audio)
            return session.features()

    def explain(self, pipeline: Pipeline, plan: Plan) -> Explanation:
        """Open, and say what would be decoded."""
        with pipeline.open(self._file, self._watch) as session:
            return explain(session, self._ask, plan.document, self._name)

    def _check(self, stage: Stage) -> None:
        """Stop where nobody waits any more, where the time is up, or where the budget is spent."""
        if self._abandoned is not None and self._abandoned.is_set():
            raise CancelledError
        self._deadline.poll()
        self._pace.check(stage)

    def _tell(self, stage: Stage, done: float) -> None:
        if self._progress is not None:
            self._progress(stage.value, done)
