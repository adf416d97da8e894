"""One call of ``predict``: its file, its time, and who is told how it goes."""

from __future__ import annotations

from l2l_engine.deadline import Deadline, Progress
from l2l_engine.media import MediaFile, display_name
from l2l_engine.pipeline import Pipeline
from l2l_engine.plan import Plan
from l2l_engine.rounds.ask import Ask
from l2l_engine.rounds.explain import Explanation, explain
from l2l_engine.rounds.pace import Pace
from l2l_engine.rounds.run import Found, run
from l2l_engine.session import Request, Stopwatch


class Call:
    """A call, from the moment it is made.

    Args:
        file: What was handed in.
        ask: What is wanted of it.
        allowed_s: Seconds it may take; None for any time.
        progress: Told of each stage.

    Attributes:
        name: What messages call the file.
        watch: Where the time goes.
    """

    def __init__(self, file: MediaFile, ask: Ask, allowed_s: float | None, progress: Progress | None) -> None:
        self.watch = Stopwatch()
        self.name = display_name(file)
        self._file, self._ask, self._progress = file, ask, progress
        self._pace = Pace(ask)
        self._deadline = Deadline(self.name, allowed_s)

    def predict(self, pipeline: Pipeline, plan: Plan) -> Found:
        """Open, decode, skim."""
        with pipeline.open(self._file, self._request()) as session:
            return run(session, self._ask, plan, self._pace)

    def explain(self, pipeline: Pipeline, plan: Plan) -> Explanation:
        """Open, and say what would be decoded."""
        with pipeline.open(self._file, self._request()) as session:
            return explain(session, self._ask, plan.document, self.name)

    def _request(self) -> Request:
        return Request(self.name, self._report, self.watch)

    def _report(self, stage: str, done: float) -> None:
        self._deadline.poll()
        self._pace.poll(stage)
        if self._progress is not None:
            self._progress(stage, done)
