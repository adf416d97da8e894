"""What a service counts, for Prometheus."""

from __future__ import annotations

from dataclasses import fields

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from l2l_engine.result import Prediction, Timings
from l2l_engine.serve.queueing import WorkQueue

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one service."""

    def __init__(self, queue: WorkQueue) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("l2l_requests", "Requests answered.", ("route", "status"), registry=registry)
        self._errors = Counter("l2l_errors", "Requests refused or failed.", ("kind",), registry=registry)
        self._request_seconds = Histogram(
            "l2l_request_seconds",
            "From the request to its answer.",
            ("route",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._stage_seconds = Histogram(
            "l2l_stage_seconds",
            "Work by stage of a prediction, summed over the threads that did it.",
            ("stage",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._hours = Counter("l2l_video_hours", "Hours of video answered.", ("plan",), registry=registry)
        waiting = Gauge("l2l_queue_waiting", "Predictions that wait.", registry=registry)
        waiting.set_function(lambda: queue.waiting)
        in_work = Gauge("l2l_queue_in_work", "Predictions in work.", registry=registry)
        in_work.set_function(lambda: queue.in_work)

    def answered(self, route: str, status: int, kind: str | None, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)
        if kind is not None:
            self._errors.labels(kind).inc()

    def predicted(self, plan: str, prediction: Prediction) -> None:
        """Count a prediction."""
        for stage in fields(Timings):
            self._stage_seconds.labels(stage.name).observe(getattr(prediction.timings, stage.name))
        if prediction.media is not None:
            self._hours.labels(plan).inc(max(0.0, prediction.media.duration) / 3600)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
