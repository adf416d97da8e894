"""Builds what is published into dist/: wheels for Linux on x86-64 and aarch64, the source, and the training.

No container and no other compiler is needed: zig, which comes as the Python package ``ziglang``, has the
headers of every glibc and links against the one that manylinux_2_28 promises. Wheels are for the Python that
runs this.

Run: python packaging/wheels.py [x86_64] [aarch64] [sdist] [training]
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
GLIBC = "2.28"
MACHINES = ("x86_64", "aarch64")
TOOLS = {"CC": "cc", "CXX": "c++", "AR": "ar", "RANLIB": "ranlib"}


def run(*command: object, **environment: str) -> None:
    """Run it in the tree, and end everything if it fails."""
    words = [str(part) for part in command]
    print("+", shlex.join(words), flush=True)
    subprocess.run(words, check=True, cwd=ROOT, env={**os.environ, **environment})


def toolchain(target: str, machine: str) -> Path:
    """A toolchain file for CMake: zig as the compiler for ``target``, say aarch64-linux-gnu.2.28."""
    folder = ROOT / "build" / "zig" / target
    folder.mkdir(parents=True, exist_ok=True)
    for tool in TOOLS.values():
        aimed = f" -target {target}" if tool in ("cc", "c++") else ""
        script = folder / tool
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ziglang {tool}{aimed} "$@"\n')
        script.chmod(0o755)
    lines = [
        "set(CMAKE_SYSTEM_NAME Linux)",
        f"set(CMAKE_SYSTEM_PROCESSOR {machine})",
        f'set(CMAKE_C_COMPILER "{folder / "cc"}")',
        f'set(CMAKE_CXX_COMPILER "{folder / "c++"}")',
        f'set(CMAKE_AR "{folder / "ar"}" CACHE FILEPATH "")',
        f'set(CMAKE_RANLIB "{folder / "ranlib"}" CACHE FILEPATH "")',
        # The strip of this machine knows no other; the linker leaves symbols out by itself.
        'set(CMAKE_STRIP "" CACHE FILEPATH "")',
        'set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")',
        'set(CMAKE_MODULE_LINKER_FLAGS_INIT "-s")',
        # Bindings gain nothing by it, and zig would build its C++ library once more for it.
        'set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF CACHE BOOL "")',
        # zig puts checks of undefined behaviour into everything unless it is told not to.
        'set(CMAKE_C_FLAGS_INIT "-fno-sanitize=undefined")',
        'set(CMAKE_CXX_FLAGS_INIT "-fno-sanitize=undefined")',
    ]
    file = folder / "toolchain.cmake"
    file.write_text("\n".join(lines) + "\n")
    return file


def wheel(machine: str) -> Path:
    """One wheel; its tag is checked by auditwheel, which reads what the library really asks of glibc."""
    raw = ROOT / "build" / "wheels" / machine
    shutil.rmtree(raw, ignore_errors=True)
    file = toolchain(f"{machine}-linux-gnu.{GLIBC}", machine)
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX")).replace(platform.machine(), machine)
    run(
        sys.executable,
        *("-m", "build", "--wheel", "--no-isolation", "--outdir", raw),
        f"--config-setting=build-dir={ROOT / 'build' / f'wheel-{machine}'}",
        f"--config-setting=cmake.define.CMAKE_TOOLCHAIN_FILE={file}",
        f"--config-setting=cmake.define.PYTHON_MODULE_EXTENSION={suffix}",
        L2L_CUDA="OFF",
        SETUPTOOLS_EXT_SUFFIX=suffix,
        _PYTHON_HOST_PLATFORM=f"linux-{machine}",
    )
    (built,) = raw.glob("*.whl")
    # Where `pip install dist/*.whl` must not meet a wheel that is not for this machine.
    folder = DIST if machine == platform.machine() else DIST / machine
    # Of another machine's wheels auditwheel takes no tag, and finds the oldest system that will do.
    own = machine == platform.machine()
    tag = f"manylinux_{GLIBC.replace('.', '_')}_{machine}" if own else "auto"
    for old in folder.glob("l2l_engine-*.whl"):
        old.unlink()
    run(
        sys.executable,
        "-m",
        "auditwheel",
        "repair",
        "--plat",
        tag,
        "--only-plat",
        "--wheel-dir",
        folder,
        built,
    )
    (done,) = folder.glob("l2l_engine-*.whl")
    run(sys.executable, "-m", "auditwheel", "show", done)
    return done


def main(wanted: list[str]) -> None:
    """Build what is named, or everything, and have twine check it."""
    wanted = wanted or [*MACHINES, "sdist", "training"]
    DIST.mkdir(exist_ok=True)
    files = [wheel(machine) for machine in MACHINES if machine in wanted]
    if "sdist" in wanted:
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", DIST)
        files += DIST.glob("*.tar.gz")
    if "training" in wanted:
        folder = DIST / "training"
        source = ROOT / "packaging" / "training"
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
        files += folder.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    for file in files:
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
