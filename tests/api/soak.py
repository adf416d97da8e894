"""Eight threads of good files, bad files, timeouts and cancels on one Classifier, then a count.

    python -m tests.api.soak PLAN VIDEO SILENT_VIDEO SECONDS

Prints one JSON object. Run as a process of its own, so that nothing else's memory is counted.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from l2l_engine import Classifier, MediaError, MediaNotFoundError, PredictionTimeoutError
from tests.robustness.mutate import SEEDS, base, mutated_media

THREADS = 8
WARMING = 400
"""Calls at least before memory is counted."""


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """What the progress callback raises."""


def resident_mb() -> float:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024


def resources() -> dict[str, float]:
    """Memory, open files, and the fewest threads within a second: a joined one may be long in leaving."""
    threads = []
    for _ in range(50):
        threads.append(len(list(Path("/proc/self/task").iterdir())))
        time.sleep(0.02)
    return {
        "resident_mb": resident_mb(),
        "threads": min(threads),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
    }


class Soak:
    def __init__(self, classifier: Classifier, video: Path, silent: Path) -> None:
        self._classifier = classifier
        self._good = [video, silent, video.read_bytes()]
        self._bad = [b"", b"no video" * 1000, video.read_bytes()[:2000], video.parent]
        self._lock = threading.Lock()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.unexpected: list[str] = []
        self.cases: list[tuple[Callable[[random.Random], object], type[Exception] | None]] = [
            (lambda rng: classifier.predict(rng.choice(self._good)), None),
            (lambda rng: classifier.predict(rng.choice(self._good), steps=rng.randint(1, 12)), None),
            (self._features, None),
            (self._damaged, None),
            (lambda rng: list(classifier.predict_many(self._good[:2], workers=2)), None),
            (lambda rng: classifier.predict(rng.choice(self._bad)), MediaError),
            (lambda rng: classifier.predict(video.parent / "gone.mp4"), MediaNotFoundError),
            (lambda rng: classifier.predict(video, timeout_s=1e-5), PredictionTimeoutError),
            (self._cancel, Cancelled),
        ]

    def _features(self, rng: random.Random) -> None:
        rows = np.random.default_rng(rng.randint(0, 99)).standard_normal((rng.randint(1, 40), 12))
        self._classifier.predict_features(rows, None if rng.random() < 0.5 else rows)

    def _damaged(self, rng: random.Random) -> None:
        # A prediction of what is left, or an error of ours: either is right.
        with contextlib.suppress(MediaError):
            self._classifier.predict(mutated_media(rng.randint(0, 99)))

    def _cancel(self, rng: random.Random) -> None:
        stage = rng.choice(["probe", "audio", "frames", "encode", "skim"])

        def progress(at: str, done: float) -> None:
            if at == stage:
                raise Cancelled

        self._classifier.predict(self._good[0], progress=progress)

    def run(self, seconds: float, seed: int, least: int = 0) -> None:
        """One batch of threads until the time is up, and ``least`` calls were made."""
        until, calls = time.monotonic() + seconds, self.outcomes.total() + least

        def goes_on() -> bool:
            return time.monotonic() < until or self.outcomes.total() < calls

        threads = [threading.Thread(target=self._work, args=(goes_on, seed + i)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, goes_on: Callable[[], bool], seed: int) -> None:
        rng = random.Random(seed)
        while goes_on():
            case, expected = rng.choice(self.cases)
            outcome = "no error"
            try:
                case(rng)
            except Exception as error:
                outcome = type(error).__name__
                if expected is None or not isinstance(error, expected):
                    self._note(f"{outcome}: {error}")
            else:
                if expected is not None:
                    self._note(f"{expected.__name__} was not raised")
            with self._lock:
                self.outcomes[outcome] += 1

    def _note(self, text: str) -> None:
        with self._lock:
            self.unexpected.append(text)


def main(plan: str, video: str, silent: str, seconds: str) -> None:
    for name in SEEDS:  # encoders take memory that is not ours to give back
        base(name)
    with Classifier(plan) as classifier:
        classifier.warmup()  # every network there will be, whichever threads meet in the time before counting
        soak = Soak(classifier, Path(video), Path(silent))
        # Pools, arenas and caches reach their size, however little a busy machine does in the time.
        soak.run(float(seconds) / 3, seed=1000, least=WARMING)
        before = resources()
        calls = soak.outcomes.total()
        soak.run(float(seconds), seed=2000)
        after = resources()
    report = {
        "seconds": float(seconds),
        "calls": soak.outcomes.total() - calls,
        "outcomes": dict(soak.outcomes),
        "unexpected": soak.unexpected[:20],
        "before": before,
        "after": after,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
