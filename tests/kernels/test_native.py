"""The native tests (tests/native), built by plain CMake; the CUDA sources through nvcc, if there is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def cmake(*arguments):
    beside_python = Path(sys.executable).with_name("cmake")
    program = str(beside_python) if beside_python.exists() else "cmake"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder():
    """Configured inside the ignored build folder, so that a second run compiles only what changed."""
    # One architecture is enough to know that the sources compile.
    cuda = ("-DL2L_CUDA=AUTO", "-DCMAKE_CUDA_ARCHITECTURES=90")
    cmake("-S", ".", "-B", "build/native-tests", "-DL2L_PYTHON=OFF", "-DL2L_NATIVE_TESTS=ON", *cuda)
    return ROOT / "build" / "native-tests"


def build(folder, target):
    output = cmake("--build", str(folder), "--target", target, f"-j{len(os.sched_getaffinity(0))}")
    assert "warning" not in output.lower()


@pytest.mark.timeout(900)
def test_native_tests_pass(folder):
    build(folder, "native_tests")
    program = folder / "tests" / "native" / "native_tests"
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "persistent_kernel_equals_the_cpu_path" in done.stdout


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on the PATH")
def test_nvcc_compiles_the_kernels(folder):
    build(folder, "l2l_cuda")
    assert (folder / "libl2l_cuda.a").stat().st_size > 0


def test_cuda_option_is_checked():
    for options, reason in (
        (["-DL2L_CUDA=MAYBE"], "L2L_CUDA is 'MAYBE'"),
        (["-DL2L_CUDA=ON", "-DCMAKE_CUDA_COMPILER="], "no CUDA compiler was found"),
    ):
        with pytest.raises(AssertionError, match=reason):
            cmake("-S", ".", "-B", "build/refused", "--fresh", "-DL2L_PYTHON=OFF", *options)
