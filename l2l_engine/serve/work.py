"""One request's video, from where it lies to its answer, in a thread of the queue."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from l2l_engine.call import AskOptions
from l2l_engine.classifier import Classifier
from l2l_engine.errors import L2LError, PredictionTimeoutError
from l2l_engine.media import Limits
from l2l_engine.report import timeline_page
from l2l_engine.result import Prediction
from l2l_engine.serve.metrics import Metrics
from l2l_engine.serve.models import Models
from l2l_engine.serve.problems import RefusedError, refusal
from l2l_engine.serve.queueing import WorkQueue
from l2l_engine.serve.settings import Settings
from l2l_engine.serve.uris import UriOpener

_T = TypeVar("_T")


class AbandonedError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class Progress:
    """How far a request is: receiving, waiting, or at a stage of its prediction."""

    state: str = "receiving"
    stage: str = ""
    done: float = 0.0


@dataclass(frozen=True, slots=True)
class Video:
    """A video that is here, and what is asked about it.

    Attributes:
        path: Where it lies; a URI of an object in a store.
        name: What the client calls it.
        plan: The name of the plan asked for.
        classifier: That plan at work.
        options: Options of the prediction.
    """

    path: Path | str
    name: str
    plan: str
    classifier: Classifier
    options: AskOptions


@dataclass(slots=True)
class Service:
    """Everything that requests share.

    Attributes:
        settings: What it was started with.
        models: The plans.
        queue: Where predictions wait.
        metrics: What was counted.
        opener: Opens URIs.
        folder: Where files are kept while they are needed.
        progress: How far requests are, by their ids.
        receiving: Files that are coming in right now.
    """

    settings: Settings
    models: Models
    queue: WorkQueue
    metrics: Metrics
    opener: UriOpener
    folder: Path
    progress: dict[str, Progress]
    receiving: int = 0

    def free_path(self) -> Path:
        """A path for a new file."""
        return self.folder / secrets.token_hex(12)

    async def answer(
        self, video: Video, make: Callable[[Prediction], _T], told: Progress, abandoned: threading.Event
    ) -> _T:
        """Predict, and make something of the prediction, when it is this video's turn.

        Args:
            video: The video.
            make: Turns the prediction into the answer; runs in the same thread.
            told: Is kept up to date.
            abandoned: Set when nobody waits any more.

        Raises:
            RefusedError: There is no room, it took too long, or the file cannot be used.
        """
        until = time.monotonic() + self.settings.timeout_s
        told.state = "waiting"
        return await self.queue.do(lambda: self._work(video, make, told, abandoned, until), until)

    def _work(
        self,
        video: Video,
        make: Callable[[Prediction], _T],
        told: Progress,
        abandoned: threading.Event,
        until: float,
    ) -> _T:
        def progress(stage: str, done: float) -> None:
            told.stage, told.done = stage, done
            if abandoned.is_set():
                raise AbandonedError

        told.state = "working"
        try:
            progress("probe", 0.0)
            prediction = video.classifier.predict(
                video.path, **_within(video.options, until), progress=progress
            )
            self.metrics.predicted(video.plan, prediction)
            told.stage, told.done = "answer", 0.0
            return make(replace(prediction, path=video.name))
        except AbandonedError:
            raise RefusedError(400, "aborted", "the client went away") from None
        except L2LError as error:
            raise refusal(error, hidden=str(video.path), shown=video.name) from error


def _within(options: AskOptions, until: float) -> AskOptions:
    """The options, with no more time than is left."""
    left = until - time.monotonic()
    if left <= 0:
        raise PredictionTimeoutError("it waited too long for its turn")
    asked = options.get("timeout_s")
    within = options.copy()
    within["timeout_s"] = left if asked is None else min(left, asked)
    return within


def as_json(prediction: Prediction) -> bytes:
    """The prediction as JSON."""
    return json.dumps(prediction.to_dict(), ensure_ascii=False).encode("utf-8", "replace")


def as_page(video: Video, limits: Limits, timeout_s: float) -> Callable[[Prediction], bytes]:
    """Makes the timeline page of a video's prediction."""

    def make(prediction: Prediction) -> bytes:
        page = timeline_page(prediction, video.path, limits=limits, timeout_s=timeout_s)
        return page.encode("utf-8", "replace")

    return make


def discard(path: Path) -> None:
    """Remove a file that may be gone."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
