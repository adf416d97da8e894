"""Runs one section in a process of its own, so that a crash or a hang takes nothing else along."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.section import NotRunError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section is, and the most seconds it may take."""

    module: str
    function: str
    limit_s: float


SECTIONS = {
    "tests": Place("checks", "tests", 60),
    "skimmer": Place("timings", "skimmer", 40),
    "interpolation": Place("timings", "interpolation", 30),
    "plan": Place("paper", "plan", 90),
    "encoders": Place("encoders", "encoders", 120),
    "decoding": Place("decoding", "decoding", 40),
    "pipelines": Place("pipelines", "pipelines", 130),
    "agreement": Place("whole", "agreement", 75),
    "memory": Place("whole", "memory", 60),
    "pipeline tests": Place("checks", "pipeline", 60),
    "ways": Place("timings", "ways", 40),
    "memcheck": Place("checks", "memcheck", 120),
    "racecheck": Place("checks", "racecheck", 120),
}
"""The most telling first: when time runs out, the others are left."""


def run(name: str) -> dict[str, Any]:
    """Run one section, and return its record; whatever goes wrong in it stays in it."""
    try:
        from l2l_engine.cuda import why_not  # noqa: PLC0415 - where it comes from is settled by now

        missing = why_not()
        if missing is not None:
            raise NotRunError(missing)
        place = SECTIONS[name]
        module = importlib.import_module(f"benchmarks.gpu.{place.module}")
        record: dict[str, Any] = getattr(module, place.function)()
    except NotRunError as reason:
        record = {"status": "not run", "reason": str(reason)}
    except Exception:
        record = {"status": "failed", "reason": traceback.format_exc()[-6000:]}
    return record


def device() -> str | None:
    """Return the GPU's name."""
    from l2l_engine.cuda import native, why_not  # noqa: PLC0415

    return None if why_not() is not None else str(native.module().device_name(0))


if __name__ == "__main__":
    wanted, target = sys.argv[1], Path(sys.argv[2])
    target.write_text(json.dumps(device() if wanted == "device" else run(wanted)), encoding="utf-8")
