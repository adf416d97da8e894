"""Runs one section in a process of its own, so that a crash or a hang takes nothing else along."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.section import FAILED, NOT_RUN, NotRunError, broken


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section is, the most seconds it may take, and whether it needs a GPU."""

    module: str
    function: str
    limit_s: float
    gpu: bool = True


def _here(module: str, function: str, limit_s: float) -> Place:
    return Place(f"benchmarks.gpu.{module}", function, limit_s)


SECTIONS = {
    "tests": _here("checks", "tests", 90),
    "stress": _here("stress", "stress", 30),
    "skimmer": _here("timings", "skimmer", 60),
    "memcheck": _here("checks", "memcheck", 120),
    "synccheck": _here("checks", "synccheck", 90),
    "ways": _here("timings", "ways", 40),
    "interpolation": _here("timings", "interpolation", 30),
    "plan": _here("paper", "plan", 120),
    "agreement": _here("whole", "agreement", 90),
    "memory": _here("whole", "memory", 60),
    "pipelines": _here("pipelines", "pipelines", 130),
    "racecheck": _here("checks", "racecheck", 120),
    "encoders": _here("encoders", "encoders", 120),
    "decoding": _here("decoding", "decoding", 40),
    "pipeline tests": _here("checks", "pipeline", 60),
}
"""The most telling first: when time runs out, the others are left. What often lacks its tools comes last."""


def run(place: Place) -> dict[str, Any]:
    """One section's record; whatever goes wrong in it stays in it."""
    try:
        if place.gpu:
            from l2l_engine.cuda import why_not  # noqa: PLC0415 - where it comes from is settled by now

            missing = why_not()
            if missing is not None:
                raise NotRunError(missing)
        section = getattr(importlib.import_module(place.module), place.function)
        record: dict[str, Any] = section()
    except NotRunError as reason:
        record = broken(NOT_RUN, str(reason))
    except Exception:
        record = broken(FAILED, traceback.format_exc()[-6000:])
    return record


if __name__ == "__main__":
    module, function, needs_gpu, target = sys.argv[1:]
    made = json.dumps(run(Place(module, function, 0.0, bool(int(needs_gpu)))))
    Path(target).write_text(made, encoding="utf-8")
