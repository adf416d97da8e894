"""The GPU tests as they are, and under compute-sanitizer."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu import processes, site
from benchmarks.gpu.section import FAILED, NotRunError, broken, finished, goal, needs, part

# Without PyTorch, whose own kernels a sanitizer would follow too, and of sizes that it gets through.
SMALL = "cuda and not on-host and (one or two or seven or on-timestamps) and not graph"
KERNELS = tuple(str(site.ROOT / "tests" / "kernels" / f"test_{name}.py") for name in ("parity", "cuda_gpu"))
RULES = str(site.ROOT / "tests" / "gpu" / "test_capture_rules.py")
"""What the driver allows while something is captured; it takes neither OpenVINO nor PyAV."""
PLUGIN = ("-p", "tests.gpu_hooks")
LIBRARIES = {"pytorch": "torch", "cupy": "cupy", "pycuda": "pycuda"}
"""Words in the names of tests, and what those tests need."""
UNSUPPORTED = "Device not supported"
"""What compute-sanitizer says where it cannot look into the GPU, as in some virtual machines."""
LIMIT_S = 240
EVERY = 10
"""Tests between two parts."""
SETTINGS = Path(__file__).with_name("pytest.ini")


class _Counted:
    """What pytest says test by test, passed on, and counted from time to time."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def __call__(self, line: str) -> None:
        print(line, end="", flush=True)
        before = self.passed + self.failed
        self.passed += " PASSED" in line
        self.failed += " FAILED" in line or " ERROR" in line
        now = self.passed + self.failed
        if now > before and now % EVERY == 0:
            part("tests", {"passed": self.passed, "failed": self.failed})


def _pytest(
    arguments: list[str],
    before: tuple[str, ...] = (),
    *,
    folder: str = "kernels",
    limit_s: float = LIMIT_S,
) -> dict[str, Any]:
    """The goal is that all tests ran and passed: a skipped one fails."""
    needs("pytest")
    command = [*before, sys.executable, "-m", "pytest", "-c", str(SETTINGS), "--rootdir", str(site.ROOT)]
    command += ["-m", "gpu", "-v", "-p", "no:cacheprovider"]
    command += ["--confcutdir", str(site.ROOT / "tests" / folder), *PLUGIN, *arguments]
    environment = site.environment(L2L_REQUIRE_GPU="1")
    said = _Counted()
    done = processes.run(command, limit_s, cwd=site.SITE, env=environment, said=said)
    passed = re.search(r"(\d+) passed", done.output)
    count = int(passed[1]) if passed else 0
    if done.status is None or (not count and not said.failed):
        return broken(FAILED, done.reason(), tests=said.passed)
    goals = [goal("all tests pass, none is skipped", done.good)]
    record = finished(goals, f"{count} passed", tests=count)
    return record if done.good else record | {"reason": done.reason()}


def _with_libraries(arguments: list[str], **options: Any) -> dict[str, Any]:
    """Tests of libraries that are not here are left out, and named."""
    absent = [word for word, name in LIBRARIES.items() if importlib.util.find_spec(name) is None]
    chosen = " and ".join(f"not {word} and not {LIBRARIES[word]}" for word in absent)
    record = _pytest([*arguments, *(["-k", chosen] if chosen else [])], **options)
    if absent:
        record["not run"] = [f"tests with {word}: it is not installed" for word in absent]
        record["summary"] = f"{record.get('summary', '')}, without {', '.join(absent)}"
    return record


def tests() -> dict[str, Any]:
    """The kernels' GPU tests, which take little beside pytest; parity first."""
    for package in ("hypothesis", "ml_dtypes"):
        needs(package)
    kernels = _with_libraries([*KERNELS])
    if kernels["state"] == FAILED:
        return kernels
    part("kernels", {"tests": kernels["tests"], "goal met": kernels["goal met"]})
    rules = _pytest([RULES], folder="gpu")
    goals = [*kernels["goals"], *rules.get("goals", [goal("the rules of capture are the driver's", None)])]
    summary = f"{kernels['summary']}; {rules.get('summary', 'rules of capture not run')}"
    reasons = [record["reason"] for record in (kernels, rules) if "reason" in record]
    record = kernels | finished(goals, summary, rules=rules)
    return record | {"reason": "\n".join(reasons)} if reasons else record


def pipeline() -> dict[str, Any]:
    """Whole predictions' GPU tests."""
    site.require_predictions()
    needs("openvino")  # beside the CPU's
    from l2l_engine.gpu.loading import why_not  # noqa: PLC0415

    if (missing := why_not()) is not None:
        raise NotRunError(missing)
    return _with_libraries([str(site.ROOT / "tests" / "gpu" / "test_on_gpu.py")], folder="gpu")


def _sanitized(tool: str, *options: str) -> dict[str, Any]:
    program = shutil.which("compute-sanitizer")
    if program is None:
        raise NotRunError("compute-sanitizer is not on the PATH")
    before = (program, "--tool", tool, *options, "--error-exitcode", "9", "--target-processes", "all")
    record = _pytest([KERNELS[0], "-k", SMALL], before)
    if UNSUPPORTED in str(record.get("reason")):
        raise NotRunError(f"compute-sanitizer says of this machine: {UNSUPPORTED}")
    return record


def memcheck() -> dict[str, Any]:
    """Reads and writes outside of arrays, and of memory before or after a stream has it."""
    return _sanitized("memcheck", "--track-stream-ordered-races", "all")


def synccheck() -> dict[str, Any]:
    """Barriers that not all threads reach."""
    return _sanitized("synccheck")


def racecheck() -> dict[str, Any]:
    """Races in shared memory."""
    return _sanitized("racecheck")
