"""Eight threads of good files, bad files, timeouts and cancels on one Classifier, then a count.

    python -m tests.api.soak PLAN VIDEO SILENT_VIDEO SECONDS

Prints one JSON object. Run as a process of its own, so that nothing else's memory is counted.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
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
PARTS = 3
"""What leaks grows in each of them; what is made once, when threads first meet so, hardly does in all."""


class Cancelled(Exception):  # noqa: N818 - a wish, not an error
    """What the progress callback raises."""


def resident_mb() -> float:
    """Of this process, without what its allocator keeps: that hangs on how threads happened to meet."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
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

    def run(self, seconds: float, seed: int) -> None:
        """One batch of threads until the time is up."""
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._work, args=(until, seed + i)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, until: float, seed: int) -> None:
        rng = random.Random(seed)
        while time.monotonic() < until:
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
        soak.run(float(seconds) / 3, seed=1000)  # pools, arenas and caches reach their size
        before = resources()
        calls, resident = [soak.outcomes.total()], [before["resident_mb"]]
        for part in range(PARTS):
            soak.run(float(seconds) / PARTS, seed=2000 + 100 * part)
            calls.append(soak.outcomes.total())
            resident.append(resident_mb())
        after = resources()
    report = {
        "seconds": float(seconds),
        "calls": np.diff(calls).tolist(),
        "grown_mb": np.diff(resident).round(1).tolist(),
        "outcomes": dict(soak.outcomes),
        "unexpected": soak.unexpected[:20],
        "before": before,
        "after": after,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
