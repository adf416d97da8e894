"""The native tests (tests/native), built by plain CMake; the CUDA sources through nvcc, if there is one."""

import shutil
import subprocess
import sys

import pytest
from native_build import FOLDER, ROOT, build, cmake

from l2l_engine.cuda import why_not

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_native_tests_pass():
    build("native_tests")
    program = FOLDER / "tests" / "native" / "native_tests"
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "persistent_kernel_equals_the_cpu_path" in done.stdout


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on the PATH")
def test_nvcc_compiles_the_module():
    """It loads, and says what is missing, where there is no driver."""
    build("_cuda")
    path = next(FOLDER.glob("_cuda.*.so"))
    done = subprocess.run([sys.executable, "-c", ASKING, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if why_not() is not None:
        assert "CUDA cannot be used: " in done.stdout


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on the PATH")
@pytest.mark.skipif(
    shutil.which("cmake", path="/usr/bin") is None, reason="the system has no CMake of its own"
)
def test_the_systems_cmake_takes_the_cuda_side(tmp_path):
    """It may be older than nvcc."""
    import pybind11

    options = (
        "-DL2L_CUDA=ON",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    command = ["/usr/bin/cmake", "-S", ROOT, "-B", tmp_path, "-DCMAKE_CUDA_ARCHITECTURES=90", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


ASKING = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("_cuda", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from l2l_engine import DeviceError
try:
    module.require_device(0)
    print("a GPU is here")
except DeviceError as error:
    print(error)
"""


def test_cuda_option_is_checked():
    for options, reason in (
        (["-DL2L_CUDA=MAYBE"], "L2L_CUDA is 'MAYBE'"),
        (["-DL2L_CUDA=ON", "-DCMAKE_CUDA_COMPILER="], "no CUDA compiler was found"),
    ):
        with pytest.raises(AssertionError, match=reason):
            cmake("-S", ".", "-B", "build/refused", "--fresh", "-DL2L_PYTHON=OFF", *options)
