"""Runs one section in a process of its own, so that a crash or a hang takes nothing else along."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from benchmarks.gpu.section import NotRunError

SECTIONS = {
    "tests": "checks:tests",
    "skimmer": "timings:skimmer",
    "interpolation": "timings:interpolation",
    "encoders": "encoders:encoders",
    "decoding": "decoding:decoding",
    "predictions": "whole:predictions",
    "pipeline tests": "checks:pipeline",
    "ways": "timings:ways",
    "memcheck": "checks:memcheck",
    "racecheck": "checks:racecheck",
}
"""Where each is, the most telling first: when time runs out, the others are left."""


def run(name: str) -> dict[str, Any]:
    """One section's record; whatever goes wrong in it stays in it."""
    try:
        from l2l_engine.cuda import why_not  # noqa: PLC0415 - where it comes from is settled by now

        missing = why_not()
        if missing is not None:
            raise NotRunError(missing)
        module, _, function = SECTIONS[name].partition(":")
        record: dict[str, Any] = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), function)()
    except NotRunError as reason:
        record = {"status": "not run", "reason": str(reason)}
    except Exception:
        record = {"status": "failed", "reason": traceback.format_exc()[-6000:]}
    return record


def device() -> str | None:
    """The GPU's name."""
    from l2l_engine.cuda import native, why_not  # noqa: PLC0415

    return None if why_not() is not None else str(native.module().device_name(0))


if __name__ == "__main__":
    wanted, target = sys.argv[1], Path(sys.argv[2])
    target.write_text(json.dumps(device() if wanted == "device" else run(wanted)), encoding="utf-8")
