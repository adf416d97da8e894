"""The kernels as machine code: what a GPU would run, read without one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import sass
from native_build import FOLDER, ROOT, build, cmake

NVCC = shutil.which("nvcc")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(NVCC is None, reason="no nvcc on the PATH"),
    pytest.mark.skipif(
        sass.path_with_tools() is None,
        reason="no cuobjdump and nvdisasm (pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm)",
    ),
]

# 512 threads of 65,536 registers; the stack holds two Softmax and what attend() is told; code is what it is
# today and a tenth more, so that a function inlined once too often is seen.
MOST_REGISTERS, MOST_STACK, MOST_CODE = 128, 128, 256 * 1024
MOST_CODE_NEWER = 288 * 1024
"""For 10.0 and 12.0 the compiler unrolls more: up to 265 KB today."""
NON_COHERENT = r"LDG?\b.*\.(CONSTANT|NC)\b"
SPILL = r"ptxas warning : Registers are spilled .* (\d+) bytes spill stores, (\d+) bytes spill loads"
MOST_SPILLED = 32
"""Bytes a thread; for 9.0, which `make test` compiles, there are none. docs/gpu.md says where there are."""
PROMISED = (75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121)
"""Compute capabilities that docs/gpu.md names."""


def check(kernels, most_code=MOST_CODE):
    skimmers = [kernel for name, kernel in kernels.items() if name.startswith("skim_kernel<")]
    assert len(skimmers) == 3, "one of each precision"
    for kernel in kernels.values():
        assert kernel.registers <= MOST_REGISTERS, kernel.name
        assert kernel.stack <= MOST_STACK, kernel.name
        assert kernel.code <= most_code, kernel.name
    for kernel in skimmers:
        # A phase reads what others wrote in the one before: never through the non-coherent cache ...
        assert kernel.count(NON_COHERENT) == 0, kernel.name
        # ... and never what the processor's own cache has from before the barrier.
        assert kernel.count(r"CCTL\.IVALL") >= 1, kernel.name
        assert kernel.count("MEMBAR") >= 1, kernel.name


def test_the_machine_code(capsys):
    build("_cuda")
    module = next(FOLDER.glob("_cuda.*.so"))
    assert sass.architectures(module) == ({90}, {90})
    kernels = sass.kernels(module, 90)
    with capsys.disabled():
        print(f"\n{sass.table(kernels)}")
    check(kernels)


PLANTED = r"""
template <bool kPlanted>
__global__ void planted_kernel(const float* __restrict__ from, float* to) {
  float values[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    // Volatile, so that none is loaded later, where there would be room for it.
    values[i] = __ldg(from + 64 * threadIdx.x + i) + ((volatile float*)to)[64 * threadIdx.x + i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) to[i * 64 + threadIdx.x] = values[i] * values[63 - i];
}
template __global__ void planted_kernel<true>(const float*, float*);
"""


def test_what_is_looked_for_would_be_seen(tmp_path):
    """Non-coherent loads and spills, planted."""
    source, module = tmp_path / "planted.cu", tmp_path / "planted.cubin"
    source.write_text(PLANTED)
    options = ["-arch=sm_90", "-cubin", "-Xptxas=--warn-on-spills", "-maxrregcount=24"]
    command = [NVCC, *options, "-o", module, source]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "warning" in done.stderr.lower(), "what native_build takes for a fault"
    kernel = sass.kernels(module, 90)["planted_kernel<true>"]
    assert kernel.count(NON_COHERENT) >= 1
    assert kernel.stack > 0
    assert kernel.local > 0
    assert kernel.count(r"CCTL\.IVALL") == 0


def runs_on(capability, real, virtual):
    """Machine code runs on later ones of its major version, PTX is compiled for whatever comes later."""
    same = any(code // 10 == capability // 10 and code <= capability for code in real)
    return same or any(code <= capability for code in virtual)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_all_architectures(tmp_path):
    """As CMakeLists.txt has them; at 4d1e144 there was nothing for 7.5, 10.x and 11.x."""
    import sys

    import pybind11

    python = (f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}")
    folder = ROOT / "build" / "all-architectures"
    cmake("-S", ".", "-B", str(folder), "-DL2L_CUDA=ON", "-DL2L_PHASE_TIMES=OFF", *python)
    output = cmake("--build", str(folder), "--target", "_cuda", "-j2")
    spilled = [int(count) for counts in re.findall(SPILL, output) for count in counts]
    assert max(spilled, default=0) <= MOST_SPILLED
    assert "warning" not in re.sub(SPILL, "", output).lower(), output[-4000:]
    module = next(Path(folder).glob("_cuda.*.so"))
    real, virtual = sass.architectures(module)
    assert (real, virtual) == ({75, 80, 89, 90, 100, 120}, {90, 120})
    for capability in PROMISED:
        assert runs_on(capability, real, virtual), capability
    assert not runs_on(70, real, virtual)
    for architecture in sorted(real):
        kernels = sass.kernels(module, architecture)
        print(f"sm_{architecture}\n{sass.table(kernels)}")
        check(kernels, MOST_CODE if architecture <= 90 else MOST_CODE_NEWER)
