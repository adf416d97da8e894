"""The GPU tests as they are, and under compute-sanitizer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu.section import NotRunError

ROOT = Path(__file__).parents[2]
# Without PyTorch, whose own kernels a sanitizer would follow too, and of sizes that it gets through.
SMALL = "cuda and not on-host and (one or two or seven or on-timestamps) and not graph"
LIMIT_S = 570


def _pytest(arguments: list[str], before: tuple[str, ...] = ()) -> dict[str, Any]:
    """All tests ran and passed: a skipped one fails."""
    environment = {**os.environ, "L2L_REQUIRE_GPU": "1"}
    command = [
        *before,
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-q",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"status": "failed", "reason": f"not done after {LIMIT_S} s"}
    passed = re.search(r"(\d+) passed", done.stdout)
    good = done.returncode == 0 and passed is not None
    record: dict[str, Any] = {
        "status": "passed" if good else "failed",
        "tests": int(passed[1]) if passed else 0,
    }
    if not good:
        record["reason"] = (done.stdout + done.stderr)[-6000:]
    return record


def tests() -> dict[str, Any]:
    """Every test that is marked `gpu`; with PyTorch, CuPy and PyCUDA missing, theirs fail."""
    return _pytest(["tests/kernels"])


def _sanitized(tool: str) -> dict[str, Any]:
    program = shutil.which("compute-sanitizer")
    if program is None:
        raise NotRunError("compute-sanitizer is not on the PATH")
    before = (program, "--tool", tool, "--error-exitcode", "9", "--target-processes", "all")
    return _pytest(["tests/kernels/test_parity.py", "-k", SMALL], before)


def memcheck() -> dict[str, Any]:
    """Reads and writes outside of arrays."""
    return _sanitized("memcheck")


def racecheck() -> dict[str, Any]:
    """Races in shared memory."""
    return _sanitized("racecheck")
