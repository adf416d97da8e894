"""The child process of the harness: ``python -m tests.robustness.child TARGET FIRST STOP``."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from l2l_engine.errors import L2LError

Case = Callable[[int], str]


def classifier_case() -> Case:
    from l2l_engine import Classifier
    from tests.robustness.mutate import mutated_media
    from tests.robustness.plans import tiny_plan

    with tempfile.TemporaryDirectory() as folder:
        classifier = Classifier(tiny_plan(Path(folder)), threads=1)

    def case(seed: int) -> str:
        prediction = classifier.predict(mutated_media(seed))
        assert prediction.media is not None
        assert 0.5 <= prediction.media.coverage <= 1.0
        assert np.isfinite(prediction.probabilities).all()
        return "prediction" if prediction.media.coverage == 1 else "partial prediction"

    return case


def plan_case() -> Case:
    from l2l_engine.plan import read_plan
    from tests.robustness.mutate import mutated
    from tests.robustness.plans import tiny_plan

    folder = Path(tempfile.mkdtemp())
    path = tiny_plan(folder)
    content = path.read_bytes()

    def case(seed: int) -> str:
        damaged = mutated(content, seed)
        path.write_bytes(damaged)
        try:
            read_plan(path)
        finally:
            path.unlink()
        assert damaged == content, "a damaged plan was accepted"
        return "unchanged"

    return case


def planted(fault: str) -> Callable[[], Case]:
    """A target with a fault at seed 3, to see that the harness catches it."""
    kept: list[bytes] = []

    def case(seed: int) -> str:
        if fault == "leak":
            kept.append(os.urandom(1) * 50_000_000)
        elif seed == 3:
            if fault == "hang":
                time.sleep(600)
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if fault == "error":
                raise KeyError("not one of ours")
        return "fine"

    return lambda: case


TARGETS: dict[str, Callable[[], Case]] = {
    "classifier": classifier_case,
    "plan": plan_case,
} | {f"planted-{fault}": planted(fault) for fault in ("hang", "crash", "leak", "error", "nothing")}


def peak_mb() -> float:
    """The most memory that this process has held so far; getrusage would tell its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(target: str, first: int, stop: int) -> None:
    warnings.simplefilter("error")
    faulthandler.enable()
    case = TARGETS[target]()
    say = os.fdopen(os.dup(1), "w", buffering=1)
    for seed in range(first, stop):
        say.write(f"begin {seed}\n")
        try:
            outcome = case(seed)
        except L2LError as error:
            outcome = type(error).__name__
        except BaseException:
            say.write(f"error {seed} {traceback.format_exc()[-1500:]!r}\n")
            break
        say.write(f"done {seed} {peak_mb():.0f} {outcome}\n")
    else:
        say.write("over\n")
    say.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
