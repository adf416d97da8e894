"""Builds what the native tests need, in one ignored folder that all test processes share."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "native-tests"


@contextlib.contextmanager
def _alone():
    """One process at a time configures and builds."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cmake(*arguments):
    beside_python = Path(sys.executable).with_name("cmake")
    program = str(beside_python) if beside_python.exists() else "cmake"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def build(target):
    """Configured by plain CMake; a second run compiles only what changed."""
    import pybind11

    # One architecture is enough to know that the sources compile.
    cuda = ("-DL2L_CUDA=AUTO", "-DCMAKE_CUDA_ARCHITECTURES=90")
    python = (f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}")
    with _alone():
        cmake("-S", ".", "-B", str(FOLDER), "-DL2L_PYTHON=ON", "-DL2L_NATIVE_TESTS=ON", *cuda, *python)
        output = cmake("--build", str(FOLDER), "--target", target, f"-j{len(os.sched_getaffinity(0))}")
    assert "warning" not in output.lower(), output[-4000:]


@functools.cache
def cuda_on_host():
    """The CUDA side of the native core, compiled for the host: the same kernels behind the same bindings."""
    build("_cuda_on_host")
    path = next((FOLDER / "tests" / "native").glob("_cuda_on_host*.so"))
    spec = importlib.util.spec_from_file_location("_cuda_on_host", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
