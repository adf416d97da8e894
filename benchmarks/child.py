"""What only a fresh process can show: peak memory, the cold start, and what warmup() is worth.

``python -m benchmarks.child TASK PLAN FILE [OPTIONS]`` prints JSON; OPTIONS are for ``predict``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = 2


def ask(task: str, plan: Path, file: Path, **options: Any) -> dict[str, float]:
    """Run a task in a new process."""
    command = [sys.executable, "-m", "benchmarks.child", task, str(plan), str(file), json.dumps(options)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    numbers: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return numbers


def peak(plan: str, file: str, options: dict[str, Any]) -> dict[str, float]:
    """Return peak resident megabytes of one prediction, and those before it."""
    from l2l_engine import Classifier  # noqa: PLC0415 -- the import belongs to what is measured

    with Classifier(plan, threads=THREADS) as classifier:
        before = _megabytes("VmRSS")
        classifier.predict(file, **options)
    return {"peak_mb": _megabytes("VmHWM"), "before_mb": before}


def cold(plan: str, file: str, options: dict[str, Any]) -> dict[str, float]:
    """Return seconds from before the import to the first prediction, and of a later one."""
    begin = time.perf_counter()
    from l2l_engine import Classifier  # noqa: PLC0415 -- the import belongs to what is measured

    imported = time.perf_counter()
    with Classifier(plan, threads=THREADS) as classifier:
        loaded = time.perf_counter()
        classifier.predict(file, **options)
        answered = time.perf_counter()
        later = _seconds(lambda: classifier.predict(file, **options))
    return {
        "total": answered - begin,
        "import": imported - begin,
        "load": loaded - imported,
        "first": answered - loaded,
        "later": later,
    }


def warm(plan: str, file: str, options: dict[str, Any]) -> dict[str, float]:
    """Return seconds of the first prediction after ``warmup``, and the median of seven later ones."""
    from l2l_engine import Classifier  # noqa: PLC0415 -- as above

    with Classifier(plan, threads=THREADS) as classifier:
        warmup = _seconds(classifier.warmup)
        first = _seconds(lambda: classifier.predict(file, **options))
        later = [_seconds(lambda: classifier.predict(file, **options)) for _ in range(7)]
    return {"warmup": warmup, "first": first, "later": statistics.median(later)}


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _megabytes(field: str) -> float:
    """Read a line of the process's status: ``ru_maxrss`` would count what the parent held before."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {field}")


if __name__ == "__main__":
    task, plan, file, options = sys.argv[1:]
    print(json.dumps({"peak": peak, "cold": cold, "warm": warm}[task](plan, file, json.loads(options))))
