"""The GPU tests as they are, and under compute-sanitizer."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu import processes, site
from benchmarks.gpu.section import NotRunError, needs, status

# Without PyTorch, whose own kernels a sanitizer would follow too, and of sizes that it gets through.
SMALL = "cuda and not on-host and (one or two or seven or on-timestamps) and not graph"
KERNELS = tuple(str(site.ROOT / "tests" / "kernels" / f"test_{name}.py") for name in ("cuda_gpu", "parity"))
PLUGIN = ("-p", "tests.gpu_hooks", "--confcutdir", str(site.ROOT / "tests" / "kernels"))
LIBRARIES = {"pytorch": "torch", "cupy": "cupy", "pycuda": "pycuda"}
"""Words in the names of tests, and what those tests need."""
UNSUPPORTED = "Device not supported"
"""What compute-sanitizer says where it cannot look into the GPU, as in some virtual machines."""
LIMIT_S = 240
SETTINGS = Path(__file__).with_name("pytest.ini")


def _pytest(
    arguments: list[str], before: tuple[str, ...] = (), *, limit_s: float = LIMIT_S
) -> dict[str, Any]:
    """Run tests of which all must run and pass: a skipped one fails."""
    needs("pytest")
    command = [*before, sys.executable, "-m", "pytest", "-c", str(SETTINGS), "--rootdir", str(site.ROOT)]
    command += ["-m", "gpu", "-q", "-p", "no:cacheprovider", *arguments]
    environment = site.environment(L2L_REQUIRE_GPU="1")
    done = processes.run(command, limit_s, cwd=site.SITE, env=environment)
    passed = re.search(r"(\d+) passed", done.output)
    good = done.good and passed is not None
    count = int(passed[1]) if passed else 0
    record: dict[str, Any] = {"status": status(good), "tests": count, "summary": f"{count} passed"}
    if not good:
        record["reason"] = done.reason()
    return record


def _with_libraries(arguments: list[str]) -> dict[str, Any]:
    """Run tests without those of libraries that are not here, which are named."""
    absent = [word for word, name in LIBRARIES.items() if importlib.util.find_spec(name) is None]
    chosen = " and ".join(f"not {word} and not {LIBRARIES[word]}" for word in absent)
    record = _pytest([*arguments, *(["-k", chosen] if chosen else [])])
    if absent:
        record["not run"] = [f"tests with {word}: it is not installed" for word in absent]
        record["summary"] += f", without {', '.join(absent)}"
    return record


def tests() -> dict[str, Any]:
    """Run the kernels' GPU tests, which take little beside pytest."""
    for package in ("hypothesis", "ml_dtypes"):
        needs(package)
    return _with_libraries([*PLUGIN, *KERNELS])


def pipeline() -> dict[str, Any]:
    """Run the GPU tests of whole predictions."""
    site.require_predictions()
    from l2l_engine.gpu import why_not  # noqa: PLC0415

    if (missing := why_not()) is not None:
        raise NotRunError(missing)
    return _with_libraries([str(site.ROOT / "tests" / "gpu" / "test_on_gpu.py")])


def _sanitized(tool: str) -> dict[str, Any]:
    program = shutil.which("compute-sanitizer")
    if program is None:
        raise NotRunError("compute-sanitizer is not on the PATH")
    before = (program, "--tool", tool, "--error-exitcode", "9", "--target-processes", "all")
    record = _pytest([*PLUGIN, KERNELS[1], "-k", SMALL], before)
    if UNSUPPORTED in str(record.get("reason")):
        raise NotRunError(f"compute-sanitizer says of this machine: {UNSUPPORTED}")
    return record


def memcheck() -> dict[str, Any]:
    """Look for reads and writes outside of arrays."""
    return _sanitized("memcheck")


def racecheck() -> dict[str, Any]:
    """Look for races in shared memory."""
    return _sanitized("racecheck")
